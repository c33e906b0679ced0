"""Rows of one image plane, every stride-th column of them, zeros outside; float16 and bfloat16 become float32."""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I32, I64, LINE, SIZE, Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import Source, each, fill_zero

PLANE_STRIDES = (1, 2, 3, 4)  # strides with vector code of their own; others go element by element


@emitter("plane")
def plane(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, rows (their byte offsets from src, -1 for a row of zeros), count, step, dst, columns, low, high,
    ahead.

    `src` is where column 0 would lie, inside x or not; only columns in [low, high) are read, the others are zero. The
    rows that lie `ahead` bytes farther on are asked for, if it is not 0.
    """
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    source = Source(v, spec.source)
    src, rows, count, step, dst, columns, low, high, ahead = args
    src, rows, dst = v.pointer(src), v.pointer(rows), v.pointer(dst)
    width = SIZE[spec.source]
    _ask_ahead(v, v.offset(src, ahead), rows, b.select(b.icmp_signed("!=", ahead, integer(0)), count, integer(0)),
               b.mul(low, step), b.mul(high, step))  # fmt: skip
    pitch = b.mul(columns, integer(v.size))
    done = b.append_basic_block("packed")
    for stride in PLANE_STRIDES:
        here, following = (b.append_basic_block(f"{word}{stride}") for word in ("stride", "not"))
        b.cbranch(b.icmp_signed("==", step, integer(stride * width)), here, following)
        b.position_at_end(here)
        _plane(v, source, stride, src, rows, count, step, dst, columns, low, high)
        b.branch(done)
        b.position_at_end(following)
    with each(v, integer(0), count, 1) as i:
        offset = v.load_integer(v.offset(rows, b.mul(i, integer(8))))
        line, to = v.offset(src, offset), v.offset(dst, b.mul(i, pitch))
        exists = b.icmp_signed("!=", offset, integer(-1))
        low, high = b.select(exists, low, columns), b.select(exists, high, columns)
        fill_zero(v, to, integer(0), low)
        with each(v, low, high, 1) as j:
            loaded = source.scalar(v.offset(line, b.mul(j, step)))
            b.store(loaded, b.bitcast(v.offset(to, b.mul(j, integer(v.size))), v.scalar.as_pointer()))
        fill_zero(v, to, high, columns)
    b.branch(done)
    b.position_at_end(done)


def _ask_ahead(v, src, rows, count, start, stop):
    """Ask for bytes start..stop of some rows of another plane: no processor foresees that they come next."""
    with each(v, integer(0), count, 1) as i:
        offset = v.load_integer(v.offset(rows, v.b.mul(i, integer(8))))
        with v.b.if_then(v.b.icmp_signed("!=", offset, integer(-1))):
            line = v.offset(src, offset)
            with each(v, start, stop, LINE) as at:
                v.prefetch(v.offset(line, at), locality=2)
            v.prefetch(v.offset(line, v.b.sub(stop, integer(1))), locality=2)


def _plane(v, source, stride, src, rows, count, step, dst, columns, low, high):
    """The rows of a plane, for one stride: by whole vectors where as many columns are inside, else all masked.

    The last vector of a row ends where what is inside does, and the columns outside go one by one: masked stores of
    AVX2 take 14 cycles. 160 to 20 channels in 4 groups, 3x3 of stride 4 on 125x125, are 1.9 times as fast.
    """
    b, pitch, size = v.b, v.b.mul(columns, integer(v.size)), integer(v.size)
    zero, scalar = integer(0), ir.Constant(v.scalar, 0.0 if isinstance(v.scalar, (ir.FloatType, ir.DoubleType)) else 0)

    def clear(to, start, stop):
        with each(v, start, stop, 1) as j:
            b.store(scalar, b.bitcast(v.offset(to, b.mul(j, size)), v.scalar.as_pointer()), align=v.size)

    def whole():
        last = b.sub(high, integer(v.lanes))
        with v.loop_or_none(count, rows, dst) as (_, (at, to), moved):
            offset = v.load_integer(at)
            line = v.offset(src, offset)
            with b.if_else(b.icmp_signed("!=", offset, integer(-1)), likely=True) as (exists, missing):
                with exists:
                    clear(to, zero, low)
                    with each(v, low, last, v.lanes) as j:
                        there = v.offset(line, b.mul(j, step))
                        v.store(_every(v, source, there, [None] * stride), v.offset(to, b.mul(j, size)))
                    there = v.offset(line, b.mul(last, step))
                    v.store(_every(v, source, there, [None] * stride, ends=True), v.offset(to, b.mul(last, size)))
                    clear(to, high, columns)
                with missing:
                    clear(to, zero, columns)
            moved += [v.offset(at, 8), v.offset(to, pitch)]

    def masked():
        ends = b.sub(columns, integer(v.lanes))
        ends = b.select(b.icmp_signed("<", ends, zero), zero, ends)
        with each(v, zero, columns, v.lanes) as j:
            j = b.select(b.icmp_signed("<", ends, j), ends, j)
            masks = [_column_mask(v, j, low, high, stride, part) for part in range(stride)]
            kept = v.first_lanes(b.sub(columns, j))
            from_, to = v.offset(src, b.mul(j, step)), v.offset(dst, b.mul(j, size))
            with v.loop_or_none(count, rows, to) as (_, (at, to), moved):
                offset = v.load_integer(at)
                exists = b.icmp_signed("!=", offset, integer(-1))
                nothing = ir.Constant(v.mask_type, [0] * v.lanes)
                there = [b.select(exists, mask, nothing) for mask in masks]
                v.store_masked(_every(v, source, v.offset(from_, offset), there), to, kept)
                moved += [v.offset(at, 8), v.offset(to, pitch)]

    with b.if_else(b.icmp_signed(">=", b.sub(high, low), integer(v.lanes)), likely=True) as (wide, narrow_):
        with wide:
            whole()
        with narrow_:
            masked()


def _column_mask(v, j, low, high, stride, part):
    """Which lanes of load number `part` hold a column in [low, high), for the columns that start at `j`."""
    b = v.b
    wide = ir.VectorType(I64, v.lanes)

    def splat(value):
        first = b.insert_element(ir.Constant(wide, ir.Undefined), value, ir.Constant(I32, 0))
        return v.shuffle(first, None, [0] * v.lanes)

    lanes = range(part * v.lanes, (part + 1) * v.lanes)
    column = b.add(splat(j), ir.Constant(wide, [lane // stride for lane in lanes]))
    wanted = ir.Constant(v.mask_type, [int(lane % stride == 0) for lane in lanes])
    inside = b.and_(b.icmp_signed(">=", column, splat(low)), b.icmp_signed("<", column, splat(high)))
    return b.and_(inside, wanted)


def _every(v, source, line, masks, ends=False):
    """One vector of every so-manieth element, from as many loads as there are masks (or None); `ends`: nothing behind
    the last of these elements is read."""
    stride, result = len(masks), None
    for part, mask in enumerate(masks):
        early = stride - 1 if ends and part == stride - 1 else 0
        start = part * v.lanes - early
        loaded = source.vector(v.offset(line, start * SIZE[source.source]), mask)
        lanes = [stride * j - start for j in range(v.lanes)]
        if result is None:
            picks = [lane if lane < v.lanes else 0 for lane in lanes]
            result = v.shuffle(loaded, None, picks) if stride > 1 else loaded
        else:
            picks = [v.lanes + lane if early <= lane < v.lanes else j for j, lane in enumerate(lanes)]
            result = v.shuffle(result, loaded, picks)
    return result
