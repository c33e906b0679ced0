"""dot: rows of weights against one vector, lanes along the reduction: y[i] = act(w[i] . x + bias + residual)."""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I32, Vectors, integer
from fastconv.microkernels.gemm import finish_tile
from fastconv.microkernels.names import parse

ARGUMENTS = ("w", "pitch", "x", "depth", "y", "bias", "residual", "activation")
CHAINS = 2  # vectors of each row that are added up apart, to hide the latency


def most_rows(lanes: int) -> int:
    """Rows of one group: their sums leave together, in one vector."""
    return min(4, lanes)


@emitter("dot")
def dot(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Emit one group of rows."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    args = dict(zip(ARGUMENTS, operands, strict=True))
    step = CHAINS * v.lanes
    turns = b.sdiv(b.add(args["depth"], integer(step - 1)), integer(step))
    rows = [v.pointer(args["w"])]
    for _ in range(1, spec.rows):
        rows.append(v.offset(rows[-1], args["pitch"]))
    start = [v.pointer(args["x"]), *rows, *[v.zero()] * (spec.rows * CHAINS)]
    with v.loop(turns, *start) as (turn, (x, *state), following):
        at, sums = state[: spec.rows], state[spec.rows :]
        left = b.sub(args["depth"], b.mul(turn, integer(step)))
        masks = [v.first_lanes(b.sub(left, integer(chain * v.lanes))) for chain in range(CHAINS)]
        parts = [v.load_masked(v.offset(x, chain * v.bytes), mask) for chain, mask in enumerate(masks)]
        updated = []
        for i, row in enumerate(at):
            for chain, mask in enumerate(masks):
                weights = v.load_masked(v.offset(row, chain * v.bytes), mask)
                updated.append(v.fma(weights, parts[chain], sums[i * CHAINS + chain]))
        following += [v.offset(x, CHAINS * v.bytes), *(v.offset(row, CHAINS * v.bytes) for row in at), *updated]
    sums = following[1 + spec.rows :]
    total = v.zero()
    for i in range(spec.rows):
        row = b.fadd(sums[i * CHAINS], sums[i * CHAINS + 1])
        width = v.lanes // 2
        while width:
            row = b.fadd(row, v.shuffle(row, None, [(j + width) % v.lanes for j in range(v.lanes)]))
            width //= 2
        total = b.insert_element(total, b.extract_element(row, ir.Constant(I32, 0)), ir.Constant(I32, i))
    tile = {"y": args["y"], "y_pitch": integer(0), "first": integer(1), "bias": args["bias"],
            "residual": args["residual"], "residual_pitch": integer(0), "activation": args["activation"]}  # fmt: skip
    finish_tile(v, 1, 1, False, v.first_lanes(integer(spec.rows)), tile, [total])
