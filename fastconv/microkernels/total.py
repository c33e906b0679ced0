"""Sums of many elements: along a row, or down the columns of a matrix; float16 and bfloat16 are widened to float32.

across   dst[0] = sum over i < count of src[i]
down     dst[j] = sum over i < count of src[i * pitch + j], for j < columns
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import SIZE, Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.pack import Source, each

CHAIN_BYTES = 256  # of sums: more than hide an addition's latency, so that a million values do not drift


@emitter("total")
def total(b: ir.IRBuilder, name: str, args: list[ir.Value]) -> None:
    """Arguments: src, pitch (bytes), count, columns, dst."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    source, width = Source(v, spec.source), SIZE[spec.source]
    src, pitch, count, columns, dst = args
    if "down" in spec.variants:
        with each(v, integer(0), columns, v.lanes) as j:
            mask = v.first_lanes(b.sub(columns, j))
            start = v.offset(v.pointer(src), b.mul(j, integer(width)))
            with v.loop_or_none(count, start, v.zero()) as (_, (at, summed), following):
                following += [v.offset(at, pitch), b.fadd(summed, source.vector(at, mask))]
            v.store_masked(following[1], v.offset(v.pointer(dst), b.mul(j, integer(v.size))), mask)
        return
    chains = CHAIN_BYTES // v.bytes
    most = integer(chains * v.lanes)
    turns = b.sdiv(b.add(count, integer(chains * v.lanes - 1)), most)
    with v.loop_or_none(turns, v.pointer(src), count, *[v.zero()] * chains) as (_, (at, left, *sums), following):
        added = []
        for chain, summed in enumerate(sums):
            mask = v.first_lanes(b.sub(left, integer(chain * v.lanes)))
            added.append(b.fadd(summed, source.vector(v.offset(at, chain * v.lanes * width), mask)))
        following += [v.offset(at, chains * v.lanes * width), b.sub(left, most), *added]
    sums = following[2:]
    while len(sums) > 1:
        sums = [b.fadd(one, other) for one, other in zip(sums[::2], sums[1::2], strict=True)]
    (summed,), half = sums, v.lanes // 2
    while half:
        summed = b.fadd(summed, v.shuffle(summed, None, [(lane + half) % v.lanes for lane in range(v.lanes)]))
        half //= 2
    first = b.extract_element(summed, ir.Constant(ir.IntType(32), 0))
    b.store(first, b.bitcast(v.pointer(dst), v.scalar.as_pointer()), align=v.size)
