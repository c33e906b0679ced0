"""Intel's matrix tiles (AMX) as LLVM IR: eight registers of 16 rows by 64 bytes, and products of bfloat16 pairs.

Registers are named by number, as the instructions do; LLVM neither allocates nor saves them. Every register has its
full size: one of fewer rows takes as long. Formats: Intel 64 and IA-32 Architectures Software Developer's Manual,
volume 1, chapter 18.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.vector import I8, I64, Vectors, integer

ROWS, ROW_BYTES = 16, 64
TILE_BYTES = ROWS * ROW_BYTES
REGISTERS = 8


def _integer(value: int | ir.Value) -> ir.Value:
    return integer(value) if isinstance(value, int) else value


class Tiles:
    """Emits operations on tile registers, beside the vectors `v`."""

    def __init__(self, v: Vectors):
        self.v = v

    def _call(self, name: str, *args: ir.Value) -> None:
        self.v.call(f"llvm.x86.{name}", ir.VoidType(), *args)

    def configure(self) -> None:
        """Give every register its full size; all are zero then. Until `release` the thread has them."""
        v, b = self.v, self.v.b
        with b.goto_entry_block():
            memory = b.alloca(ir.ArrayType(I64, 8))
        memory.align = 64
        # Bytes: 0 the palette, 16 + 2 i the bytes of a row of register i, 48 + i its rows.
        sizes = int.from_bytes(bytes([ROW_BYTES, 0] * 4), "little")
        rows = int.from_bytes(bytes([ROWS] * REGISTERS), "little")
        for i, word in enumerate((1, 0, sizes, sizes, 0, 0, rows, 0)):
            b.store(integer(word), v._at(v.offset(memory, 8 * i), I64))
        self._call("ldtilecfg", v._at(memory, I8))

    def release(self) -> None:
        """Give the registers back: a thread without them is switched faster."""
        self._call("tilerelease")

    def zero(self, tile: int) -> None:
        """All of it zero."""
        self._call("tilezero", ir.Constant(I8, tile))

    def load(self, tile: int, pointer: ir.Value, pitch: int | ir.Value = ROW_BYTES) -> None:
        """Rows from memory, `pitch` bytes apart. On whole cache lines: others take six times as long."""
        self._call("tileloadd64", ir.Constant(I8, tile), pointer, _integer(pitch))

    def store(self, tile: int, pointer: ir.Value, pitch: int | ir.Value = ROW_BYTES) -> None:
        """Rows to memory, `pitch` bytes apart."""
        self._call("tilestored64", ir.Constant(I8, tile), pointer, _integer(pitch))

    def multiply(self, c: int, a: int, b: int) -> None:
        """c[i, j] += sum over q < 32 of a[i][q] * b[q // 2][2 j + q % 2]: bfloat16 products added in float32."""
        self._call("tdpbf16ps", *(ir.Constant(I8, tile) for tile in (c, a, b)))
