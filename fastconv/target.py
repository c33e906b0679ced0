"""What this CPU offers: instruction set, vector width, registers, cache sizes; fake targets for tests."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Target:
    """A CPU as the kernels see it; sizes in bytes."""

    isa: str  # avx512, avx2, neon or generic
    l1: int = 32 << 10
    l2: int = 1 << 20
    l3: int = 16 << 20
    name: str = ""
    amx: bool = False  # Intel's matrix tiles, for bfloat16

    @property
    def vector_bytes(self) -> int:
        """Width of one vector register."""
        return {"avx512": 64, "avx2": 32}.get(self.isa, 16)

    @property
    def registers(self) -> int:
        """Vector registers."""
        return 16 if self.isa == "avx2" or (self.isa == "generic" and _machine() == "x86") else 32

    @property
    def multiply_adds(self) -> int:
        """Of whole vectors a cycle. Zen 4 takes a vector of 64 bytes in two halves."""
        return 1 if self.isa == "avx512" and self.name == "znver4" else 2

    def lanes(self, itemsize: int) -> int:
        """Elements in one vector."""
        return self.vector_bytes // itemsize


def _machine() -> str:
    name = platform.machine().lower()
    return "arm" if name in ("aarch64", "arm64") else "x86" if name in ("x86_64", "amd64", "i686") else name


@functools.cache
def host() -> Target:
    """The machine this process runs on; FASTCONV_ISA narrows the instruction set (for tests and comparisons)."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    if _machine() == "arm":
        isa = "neon"
    elif all(features.get(f) for f in ("avx512f", "avx512vl", "avx512bw", "avx512dq")):
        isa = "avx512"
    elif features.get("avx2") and features.get("fma"):
        isa = "avx2"
    else:
        isa = "generic"
    tiles = isa == "avx512" and "FASTCONV_ISA" not in os.environ and _matrix_tiles(features)
    isa = os.environ.get("FASTCONV_ISA") or isa
    if isa not in ("avx512", "avx2", "neon", "generic"):
        raise ValueError(f"FASTCONV_ISA: {isa!r} is not one of avx512, avx2, neon, generic")
    return Target(isa, *_cache_sizes(), llvm.get_host_cpu_name(), tiles)


def _matrix_tiles(features: dict[str, bool]) -> bool:
    """Whether this process may use Intel's matrix tiles. Linux wants to be asked: a process that uses them has 8 KB
    more to save. It refuses where a thread's stack for signals is too small for that."""
    from numba import config

    needed = "amx-tile", "amx-bf16"
    if not all(features.get(f) for f in needed) or sys.platform != "linux":
        return False
    # What Numba is told to compile for may be less than the processor has: LLVM ends the process at such instructions.
    told = config.CPU_FEATURES
    if told is not None and not all(f"+{f}" in told.split(",") for f in needed):
        return False
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18
    return ctypes.CDLL(None).syscall(arch_prctl, request_permission, tile_data) == 0


def _cache_sizes() -> tuple[int, int, int]:
    """L1 data and L2 size of one core, L3 of all, where the system tells; modest guesses elsewhere."""
    found = {1: 32 << 10, 2: 512 << 10, 3: 8 << 20}
    for entry in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level = int((entry / "level").read_text())
            kind = (entry / "type").read_text().strip()
            size = (entry / "size").read_text().strip()
        except (OSError, ValueError):
            continue
        if level in found and kind in ("Data", "Unified") and size.endswith("K"):
            found[level] = int(size[:-1]) << 10
    return found[1], found[2], found[3]


def flops_per_cycle(dtype: str) -> int:
    """Floating-point operations of all fused multiply-adds in a cycle."""
    return 2 * host().multiply_adds * host().lanes(8 if dtype == "float64" else 4)
