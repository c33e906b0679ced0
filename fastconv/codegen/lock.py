"""One lock for whoever imports the compiler, compiles, loads or starts threads.

A fork waits until nobody holds it: in the child nobody would ever release it, nor the locks of half-done imports and
compilations below it.
"""

import os
import threading

setup = threading.RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=setup.acquire, after_in_parent=setup.release, after_in_child=setup.release)
