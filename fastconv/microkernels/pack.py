"""Moves of elements: rows with a border, and transposes; both widen float16 and bfloat16 to float32.

row        dst[0:left] = 0, dst[left + i] = src[i * step], dst[left + n : left + n + right] = 0
transpose  dst[j, i] = src[i, j]
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import ELEMENT, I16, I32, I64, SIZE, Vectors, integer
from fastconv.microkernels.names import parse


def widen(v: Vectors, values: ir.Value, source: str) -> ir.Value:
    """Narrow floats (a vector or one element of `source`) as `v`'s element type, exactly."""
    b = v.b
    if source == v.dtype:
        return values
    wide = ELEMENT["f32"]
    whole = I32
    if isinstance(values.type, ir.VectorType):
        wide = ir.VectorType(wide, values.type.count)
        whole = ir.VectorType(I32, values.type.count)
    if source == "f16":
        return b.fpext(values, wide)
    sixteen = ir.Constant(whole, 16 if whole is I32 else [16] * whole.count)
    return b.bitcast(b.shl(b.zext(values, whole), sixteen), wide)


def narrow(v: Vectors, values: ir.Value, target: str) -> ir.Value:
    """float32 values rounded once, to nearest even, as `target`; NaN stays NaN."""
    b = v.b
    if target == v.dtype:
        return values
    count = values.type.count if isinstance(values.type, ir.VectorType) else 0
    shape = (lambda t: ir.VectorType(t, count)) if count else (lambda t: t)
    if target == "f16":
        return b.fptrunc(values, shape(ELEMENT["f16"]))

    def constant(number):
        return ir.Constant(shape(I32), [number] * count if count else number)

    bits = b.bitcast(values, shape(I32))
    even = b.and_(b.lshr(bits, constant(16)), constant(1))
    rounded = b.lshr(b.add(bits, b.add(even, constant(0x7FFF))), constant(16))
    quiet = b.or_(b.lshr(bits, constant(16)), constant(0x40))
    return b.trunc(b.select(b.fcmp_unordered("uno", values, values), quiet, rounded), shape(I16))


class _Source:
    """Loads of `source` elements as `v` vectors."""

    def __init__(self, v: Vectors, source: str):
        self.v, self.source = v, source
        self.narrow = Vectors(v.b, source, v.lanes)

    def scalar(self, pointer):
        return widen(self.v, self.narrow.load_scalar(pointer), self.source)

    def vector(self, pointer, mask=None):
        loaded = self.narrow.load(pointer) if mask is None else self.narrow.load_masked(pointer, mask)
        return widen(self.v, loaded, self.source)


def _for(v: Vectors, start: ir.Value, stop: ir.Value, stride: int):
    """A loop over range(start, stop, stride) that may be empty, as a context manager giving the index."""
    return _Range(v, start, stop, stride)


class _Range:
    def __init__(self, v, start, stop, stride):
        self.v, self.start, self.stop, self.stride = v, start, stop, stride

    def __enter__(self):
        b = self.v.b
        before = b.block
        self.head, body, self.after = (b.append_basic_block(n) for n in ("head", "body", "after"))
        b.branch(self.head)
        b.position_at_end(self.head)
        self.index = b.phi(I64)
        self.index.add_incoming(self.start, before)
        b.cbranch(b.icmp_signed("<", self.index, self.stop), body, self.after)
        b.position_at_end(body)
        return self.index

    def __exit__(self, *error):
        b = self.v.b
        self.index.add_incoming(b.add(self.index, integer(self.stride)), b.block)
        b.branch(self.head)
        b.position_at_end(self.after)


def _fill_zero(v, dst, start, stop):
    """dst[start:stop] = 0, a masked vector at a time."""
    with _for(v, start, stop, v.lanes) as i:
        mask = v.first_lanes(v.b.sub(stop, i))
        v.store_masked(v.zero(), v.offset(dst, v.b.mul(i, integer(v.size))), mask)


@emitter("row")
def row(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, step (bytes between elements), dst, left, n, right."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    source = _Source(v, spec.source)
    src, step, dst, left, n, right = args
    src, dst = v.pointer(src), v.pointer(dst)
    zero, size = integer(0), integer(v.size)
    end = b.add(left, n)
    _fill_zero(v, dst, zero, left)
    body = v.offset(dst, b.mul(left, size))
    width = SIZE[spec.source]
    contiguous = b.icmp_signed("==", step, integer(width))
    with b.if_else(contiguous) as (then, otherwise):
        with then, _for(v, zero, n, v.lanes) as i:
            mask = v.first_lanes(b.sub(n, i))
            loaded = source.vector(v.offset(src, b.mul(i, integer(width))), mask)
            v.store_masked(loaded, v.offset(body, b.mul(i, size)), mask)
        with otherwise:
            double = b.icmp_signed("==", step, integer(2 * width))
            start = _every_second(v, source, src, body, n, width, double)
            with _for(v, start, n, 1) as i:
                loaded = source.scalar(v.offset(src, b.mul(i, step)))
                b.store(loaded, v.b.bitcast(v.offset(body, b.mul(i, size)), v.scalar.as_pointer()))
    _fill_zero(v, dst, end, b.add(end, right))


def _every_second(v, source, src, dst, n, width, double):
    """Whole vectors of every second element, by two loads and a shuffle; how many elements that did."""
    b = v.b
    # The last vector of a row would load one element past the last that is asked for: leave it to the scalar loop.
    whole = b.select(double, b.and_(b.sub(n, integer(1)), integer(-v.lanes)), integer(0))
    with _for(v, integer(0), whole, v.lanes) as i:
        at = v.offset(src, b.mul(i, integer(2 * width)))
        low, high = source.vector(at), source.vector(v.offset(at, v.lanes * width))
        picked = v.shuffle(low, high, list(range(0, 2 * v.lanes, 2)))
        v.store(picked, v.offset(dst, b.mul(i, integer(v.size))))
    return b.select(b.icmp_signed(">", whole, integer(0)), whole, integer(0))


def transposed(v: Vectors, rows: list[ir.Value]) -> list[ir.Value]:
    """A square block of vectors transposed in registers, by log2(lanes) rounds of pairwise interleaving."""
    n, step = v.lanes, 1
    while step < n:
        swapped = list(rows)
        for i in range(n):
            if i & step:
                continue
            low = [j if not j & step else n + j - step for j in range(n)]
            high = [j + step if not j & step else n + j for j in range(n)]
            swapped[i] = v.shuffle(rows[i], rows[i + step], low)
            swapped[i + step] = v.shuffle(rows[i], rows[i + step], high)
        rows, step = swapped, 2 * step
    return rows


@emitter("transpose")
def transpose(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, src_pitch, dst, dst_pitch, rows, columns; pitches in bytes, elements side by side in a row."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    source = _Source(v, spec.source)
    src, src_pitch, dst, dst_pitch, rows, columns = args
    src, dst = v.pointer(src), v.pointer(dst)
    width = SIZE[spec.source]
    zero = integer(0)
    with _for(v, zero, rows, v.lanes) as i, _for(v, zero, columns, v.lanes) as j:
        height, across = b.sub(rows, i), b.sub(columns, j)
        at = v.offset(src, b.add(b.mul(i, src_pitch), b.mul(j, integer(width))))
        to = v.offset(dst, b.add(b.mul(j, dst_pitch), b.mul(i, integer(v.size))))
        inside, beside = v.first_lanes(across), v.first_lanes(height)
        # Rows past the end load nothing: their mask is empty.
        nothing = ir.Constant(v.mask_type, [0] * v.lanes)
        block = []
        for r in range(v.lanes):
            mask = b.select(b.icmp_signed("<", integer(r), height), inside, nothing)
            block.append(source.vector(at, mask))
            at = v.offset(at, src_pitch)
        for c, column in enumerate(transposed(v, block)):
            mask = b.select(b.icmp_signed("<", integer(c), across), beside, nothing)
            v.store_masked(column, to, mask)
            to = v.offset(to, dst_pitch)
