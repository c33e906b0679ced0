"""The name grammar of microkernels, read and written: <op>_<dtype>[_<block>]_<isa>[_<variant>...].

dtype is what the kernel computes in, or `f16f32` where it also converts (source first); block is rows x lanes-wide
columns, in elements; isa fixes the lanes: avx512 64 bytes, avx2 32, neon and generic 16.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastconv.codegen.vector import SIZE

VECTOR_BYTES = {"avx512": 64, "avx2": 32, "neon": 16, "generic": 16}
_DTYPE = r"(?:bf16|f16|f32|f64|i8|u8|i32)"
_GRAMMAR = re.compile(
    rf"(?P<op>[a-z]+)_(?P<source>{_DTYPE}?)(?P<dtype>{_DTYPE})(?:_(?P<rows>\d+)x(?P<columns>\d+))?"
    r"_(?P<isa>avx512|avx2|neon|generic)(?P<variants>(?:_[a-z0-9]+)*)"
)


@dataclass(frozen=True)
class Name:
    """A microkernel's name, taken apart."""

    op: str
    dtype: str
    source: str
    rows: int
    columns: int
    isa: str
    variants: tuple[str, ...]

    @property
    def lanes(self) -> int:
        """Elements in one vector."""
        return VECTOR_BYTES[self.isa] // SIZE[self.dtype]

    @property
    def vectors(self) -> int:
        """Vectors across the block."""
        return self.columns // self.lanes

    def __str__(self) -> str:
        source = self.source if self.source != self.dtype else ""
        block = [f"{self.rows}x{self.columns}"] if self.rows else []
        return "_".join([self.op, source + self.dtype, *block, self.isa, *self.variants])


def parse(name: str) -> Name:
    """Take a name apart; a string outside the grammar is a ValueError."""
    match = _GRAMMAR.fullmatch(name)
    if match is None:
        raise ValueError(f"name: {name!r} is not a microkernel's name, e.g. gemm_f32_8x48_avx512_px")
    part = match.groupdict()
    return Name(
        part["op"], part["dtype"], part["source"] or part["dtype"], int(part["rows"] or 0),
        int(part["columns"] or 0), part["isa"], tuple(part["variants"].split("_")[1:]),
    )  # fmt: skip
