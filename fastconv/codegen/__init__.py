"""From Python to machine code: vector operations as LLVM IR, the only `njit`, the cache of compiled kernels.

vector  what a vector unit can do, as LLVM IR          emit    microkernel names inside compiled Python; memory, calls
jit     compiled leaf kernels with an address          cache   where compiled code lives between processes
launch  one kernel over many tasks, serial or parallel    lock    held while any of this is being set up
"""
