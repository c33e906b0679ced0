"""Vector code as LLVM IR: the one place that spells vector types, masks, fused multiply-adds and loops.

`Vectors` wraps an IR builder for one element type and one lane count. It knows nothing of convolution; the
microkernels are written in its words. Every operation is IEEE: no fast-math flag is ever set, and a fused
multiply-add is always asked for by name (`llvm.fma`), so results do not depend on what LLVM chooses to contract.
"""

from __future__ import annotations

from contextlib import contextmanager

from llvmlite import ir

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
ELEMENT = {"f32": ir.FloatType(), "f64": ir.DoubleType(), "f16": ir.HalfType(), "bf16": I16}
ELEMENT |= {"i8": I8, "u8": I8, "i32": I32, "i64": I64}
SIZE = {"f32": 4, "f64": 8, "f16": 2, "bf16": 2, "i8": 1, "u8": 1, "i32": 4, "i64": 8}
LINE = 64  # bytes of a line of a cache
# LLVM's names of those that it knows under others.
_SUFFIX = {"bf16": "i16", "u8": "i8"}


def integer(value: int) -> ir.Constant:
    """A 64-bit integer constant."""
    return ir.Constant(I64, value)


def least(b: ir.IRBuilder, one: ir.Value, other: ir.Value) -> ir.Value:
    """The smaller of two signed integers."""
    return b.select(b.icmp_signed("<", one, other), one, other)


def greatest(b: ir.IRBuilder, one: ir.Value, other: ir.Value) -> ir.Value:
    """The larger of two signed integers."""
    return b.select(b.icmp_signed(">", one, other), one, other)


class Vectors:
    """Emits operations on vectors of `lanes` elements of type `dtype` ("f32", say)."""

    def __init__(self, builder: ir.IRBuilder, dtype: str, lanes: int):
        self.b = builder
        self.dtype, self.lanes = dtype, lanes
        self.scalar = ELEMENT[dtype]
        self.size = SIZE[dtype]
        self.type = ir.VectorType(self.scalar, lanes)
        self.mask_type = ir.VectorType(I1, lanes)
        self.bytes = lanes * self.size

    # Intrinsics and addresses -------------------------------------------------------------------------------

    def call(self, name: str, result: ir.Type, *args: ir.Value) -> ir.Value:
        """Call an LLVM intrinsic, declaring it on first use."""
        kind = ir.FunctionType(result, [a.type for a in args])
        function = self.b.module.globals.get(name) or ir.Function(self.b.module, kind, name)
        return self.b.call(function, args)

    def pointer(self, address: ir.Value, kind: ir.Type = I8) -> ir.Value:
        """A run-time integer address as a pointer."""
        return self.b.inttoptr(address, kind.as_pointer())

    def offset(self, pointer: ir.Value, displacement: ir.Value | int) -> ir.Value:
        """`pointer` moved by a number of bytes."""
        if isinstance(displacement, int):
            if displacement == 0:
                return pointer
            displacement = integer(displacement)
        return self.b.gep(self.b.bitcast(pointer, I8.as_pointer()), [displacement])

    def _at(self, pointer: ir.Value, kind: ir.Type) -> ir.Value:
        return self.b.bitcast(pointer, kind.as_pointer())

    def opaque(self, value: ir.Value) -> ir.Value:
        """A pointer, but LLVM may not look behind it: it stops hoisted sums from filling all registers.

        Or an integer of which nothing may be concluded: where LLVM 22 knows a mask to be one lane of 16 bits, it stores
        32 without AVX.
        """
        kind = ir.FunctionType(value.type, [value.type])
        return self.b.call(ir.InlineAsm(kind, "", "=r,0"), [value])

    def align_stack(self) -> None:
        """Let vectors that find no register lie on whole cache lines: LLVM aligns a stack for variables only."""
        with self.b.goto_entry_block():
            place = self.b.alloca(self.type)
            place.align = self.bytes
        kind = ir.FunctionType(ir.VoidType(), [place.type])
        self.b.call(ir.InlineAsm(kind, "", "r", side_effect=True), [place])

    # Memory -------------------------------------------------------------------------------------------------

    def load(self, pointer: ir.Value, align: int | None = None) -> ir.Value:
        """A whole vector from memory aligned to one element, or to `align` bytes."""
        return self.b.load(self._at(pointer, self.type), align=align or self.size)

    def store(self, value: ir.Value, pointer: ir.Value, align: int | None = None) -> None:
        """A whole vector to memory."""
        self.b.store(value, self._at(pointer, self.type), align=align or self.size)

    def store_past(self, value: ir.Value, pointer: ir.Value) -> None:
        """A whole vector to memory aligned to one, past the caches; `fence` before others may read it."""
        stored = self.b.store(value, self._at(pointer, self.type), align=self.bytes)
        stored.set_metadata("nontemporal", self.b.module.add_metadata([ir.Constant(I32, 1)]))

    def fence(self) -> None:
        """What was stored before is in memory before what is stored after.

        On x86 it becomes a locked instruction, which empties the buffers of stores past the caches, too.
        """
        self.b.fence("seq_cst")

    def _suffix(self) -> str:
        return f"v{self.lanes}{_SUFFIX.get(self.dtype, self.dtype)}"

    def load_masked(self, pointer: ir.Value, mask: ir.Value) -> ir.Value:
        """The lanes of `mask` from memory, zero elsewhere; masked-off lanes touch no memory."""
        name, b = f"llvm.masked.load.{self._suffix()}.p0", self.b
        masked = self._at(pointer, self.type), ir.Constant(I32, self.size), mask, self.zero()
        if self.size >= 4 or not self._masks_take_long:
            return self.call(name, self.type, *masked)
        found = []
        with b.if_else(self._all(mask), likely=True) as (whole, part):
            with whole:
                found.append((self.load(pointer), b.block))
            with part:
                found.append((self.call(name, self.type, *masked), b.block))
        loaded = b.phi(self.type)
        for value, block in found:
            loaded.add_incoming(value, block)
        return loaded

    def store_lanes(self, value: ir.Value, pointer: ir.Value, mask: ir.Value) -> None:
        """Whichever lanes `mask` has to memory; masked-off lanes touch no memory."""
        masked = value, self._at(pointer, self.type), ir.Constant(I32, self.size), mask
        self.call(f"llvm.masked.store.{self._suffix()}.p0", ir.VoidType(), *masked)

    def store_masked(self, value: ir.Value, pointer: ir.Value, mask: ir.Value) -> None:
        """The lanes of `mask`, which are neighbours, to memory; masked-off lanes touch no memory.

        Where masks take long it goes by way of the stack, in two pieces of half as many lanes (or a quarter, ...) that
        may overlap: depthwise 3x3 on 7x7 pixels takes two thirds of the time.
        """
        if not self._masks_take_long:
            self.store_lanes(value, pointer, mask)
            return
        b = self.b
        bits = b.zext(b.bitcast(mask, ir.IntType(self.lanes)), I64)
        with b.goto_entry_block():
            held = b.alloca(self.type)
            held.align = self.bytes
        with b.if_else(b.icmp_unsigned("==", bits, integer((1 << self.lanes) - 1)), likely=True) as (whole, part):
            with whole:
                self.store(value, pointer)
            with part:
                self.store(value, held, align=self.bytes)
                first = b.mul(b.cttz(bits, ir.Constant(I1, 0)), integer(self.size))
                self._copy(self.offset(held, first), self.offset(pointer, first), b.ctpop(bits))

    def _copy(self, source: ir.Value, to: ir.Value, count: ir.Value) -> None:
        """Some elements, fewer than there are lanes."""
        b, part = self.b, Vectors(self.b, self.dtype, self.lanes // 2)
        with b.if_else(b.icmp_unsigned(">=", count, integer(part.lanes))) as (enough, fewer):
            with enough:
                last = b.mul(b.sub(count, integer(part.lanes)), integer(self.size))
                for at in (integer(0), last) if part.lanes > 1 else (integer(0),):
                    part.store(part.load(self.offset(source, at)), self.offset(to, at))
            with fewer:
                if part.lanes > 1:
                    part._copy(source, to, count)

    @property
    def _masks_take_long(self) -> bool:
        """Without AVX-512 a masked store takes 14 cycles (Zen 3), one of small elements a branch a lane."""
        return 1 < self.lanes <= 8 and self.bytes <= 32

    def _all(self, mask: ir.Value) -> ir.Value:
        """Whether a mask has all lanes."""
        bits = ir.IntType(self.lanes)
        return self.b.icmp_unsigned("==", self.b.bitcast(mask, bits), ir.Constant(bits, (1 << self.lanes) - 1))

    def gather(self, addresses: ir.Value, mask: ir.Value) -> ir.Value:
        """The lanes of `mask`, each from an address of its own; masked-off lanes touch no memory."""
        pointers = self._pointers(addresses)
        name = f"llvm.masked.gather.{self._suffix()}.v{self.lanes}p0"
        return self.call(name, self.type, pointers, ir.Constant(I32, self.size), mask, self.zero())

    def scatter(self, value: ir.Value, addresses: ir.Value, mask: ir.Value) -> None:
        """The lanes of `mask`, each to an address of its own; masked-off lanes touch no memory."""
        pointers = self._pointers(addresses)
        name = f"llvm.masked.scatter.{self._suffix()}.v{self.lanes}p0"
        self.call(name, ir.VoidType(), value, pointers, ir.Constant(I32, self.size), mask)

    def _pointers(self, addresses: ir.Value) -> ir.Value:
        return self.b.inttoptr(addresses, ir.VectorType(self.scalar.as_pointer(), self.lanes))

    def load_scalar(self, pointer: ir.Value) -> ir.Value:
        """One element."""
        return self.b.load(self._at(pointer, self.scalar), align=self.size)

    def load_integer(self, pointer: ir.Value) -> ir.Value:
        """One 64-bit integer."""
        return self.b.load(self._at(pointer, I64), align=8)

    def prefetch(self, pointer: ir.Value, write: bool = False, locality: int = 3) -> None:
        """Ask for a cache line; never faults."""
        args = [ir.Constant(I32, int(write)), ir.Constant(I32, locality), ir.Constant(I32, 1)]
        self.call("llvm.prefetch.p0", ir.VoidType(), self._at(pointer, I8), *args)

    def ask_for(self, address: ir.Value, vectors: int, write: bool = False) -> None:
        """Ask for the lines of some vectors side by side, for L2."""
        for at in range(0, vectors * self.bytes, LINE):
            self.prefetch(self.offset(self.pointer(address), at), write, locality=2)

    # Arithmetic ---------------------------------------------------------------------------------------------

    def zero(self) -> ir.Constant:
        """All lanes zero."""
        return ir.Constant(self.type, [0 if isinstance(self.scalar, ir.IntType) else 0.0] * self.lanes)

    def constant(self, value: float) -> ir.Constant:
        """All lanes the same number."""
        return ir.Constant(self.type, [value] * self.lanes)

    def broadcast(self, scalar: ir.Value) -> ir.Value:
        """All lanes the same run-time element; next to its one use it folds into the multiply-add's operand."""
        first = self.b.insert_element(ir.Constant(self.type, ir.Undefined), scalar, ir.Constant(I32, 0))
        return self.shuffle(first, None, [0] * self.lanes)

    def shuffle(self, a: ir.Value, b: ir.Value | None, picks: list[int]) -> ir.Value:
        """Lanes picked out of the concatenation of two vectors."""
        b = ir.Constant(a.type, ir.Undefined) if b is None else b
        return self.b.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, len(picks)), picks))

    def fma(self, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
        """a * b + c, rounded once."""
        return self.call(f"llvm.fma.{self._suffix()}", self.type, a, b, c)

    def where_less(self, a: ir.Value, b: ir.Value, yes: ir.Value, no: ir.Value) -> ir.Value:
        """`yes` where a < b, else `no`; an unordered lane (a NaN) takes `no`."""
        return self.b.select(self.b.fcmp_ordered("<", a, b), yes, no)

    # Masks and loops ----------------------------------------------------------------------------------------

    def some(self, mask: ir.Value) -> ir.Value:
        """Whether a mask has any lane."""
        bits = ir.IntType(self.lanes)
        return self.b.icmp_unsigned("!=", self.b.bitcast(mask, bits), ir.Constant(bits, 0))

    def first_lanes(self, count: ir.Value) -> ir.Value:
        """The mask of lanes below a run-time count."""
        wide = ir.VectorType(I32, self.lanes)
        count = self.b.select(self.b.icmp_signed("<", count, integer(self.lanes)), count, integer(self.lanes))
        start = self.b.insert_element(ir.Constant(wide, ir.Undefined), self.b.trunc(count, I32), ir.Constant(I32, 0))
        limit = self.shuffle(start, None, [0] * self.lanes)
        return self.b.icmp_signed("<", ir.Constant(wide, list(range(self.lanes))), limit)

    @contextmanager
    def loop(self, count: ir.Value, *state: ir.Value):
        """A loop that runs `count` >= 1 times; yields (index, phis, following), and the body appends the new state.

        After the loop, `following` holds the final values.
        """
        b = self.b
        before, body = b.block, b.append_basic_block("loop")
        b.branch(body)
        b.position_at_end(body)
        index, phis = self._phis(before, state)
        following: list[ir.Value] = []
        yield index, phis, following
        step = self._advance(index, phis, following)
        after = b.append_basic_block("done")
        b.cbranch(b.icmp_signed("<", step, count), body, after)
        b.position_at_end(after)

    @contextmanager
    def loop_or_none(self, count: ir.Value, *state: ir.Value):
        """As `loop`, for a count that may be zero."""
        b = self.b
        before, head, body, after = b.block, *(b.append_basic_block(n) for n in ("head", "body", "after"))
        b.branch(head)
        b.position_at_end(head)
        index, phis = self._phis(before, state)
        b.cbranch(b.icmp_signed("<", index, count), body, after)
        b.position_at_end(body)
        following: list[ir.Value] = []
        yield index, phis, following
        self._advance(index, phis, following)
        b.branch(head)
        b.position_at_end(after)
        following[:] = phis

    def _phis(self, before, state):
        """The index and state of a loop entered from block `before`."""
        index = self.b.phi(I64)
        phis = [self.b.phi(value.type) for value in state]
        for phi, value in zip((index, *phis), (integer(0), *state), strict=True):
            phi.add_incoming(value, before)
        return index, phis

    def _advance(self, index, phis, following):
        """Feed a loop's next index and state back to its phis; the next index."""
        step = self.b.add(index, integer(1))
        for phi, value in zip((index, *phis), (step, *following), strict=True):
            phi.add_incoming(value, self.b.block)
        return step
