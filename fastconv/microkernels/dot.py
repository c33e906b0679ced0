"""dot: rows of weights against one vector, lanes along the reduction: y[i] = act(w[i] . x + bias + residual)."""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import I32, Vectors, integer
from fastconv.microkernels.gemm import finish_tile
from fastconv.microkernels.names import parse

ARGUMENTS = ("w", "pitch", "x", "depth", "y", "bias", "residual", "activation")
SUMS = 16  # of a row, at least, are formed apart: errors grow with their lengths, and PyTorch's are a sixteenth of all
REGISTERS = 8  # for the sums of all rows, of the sixteen that any machine has


def chains(lanes: int) -> int:
    """Vectors of each row that are added up apart; two also hide the latency."""
    return max(2, SUMS // lanes)


def most_rows(lanes: int) -> int:
    """Rows of one group: their sums leave together, in one vector."""
    return min(lanes, REGISTERS // chains(lanes))


@emitter("dot")
def dot(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Emit one group of rows."""
    spec = parse(name)
    v = Vectors(b, spec.dtype, spec.lanes)
    args = dict(zip(ARGUMENTS, operands, strict=True))
    many = chains(v.lanes)
    step = many * v.lanes
    turns = b.sdiv(b.add(args["depth"], integer(step - 1)), integer(step))
    rows = [v.pointer(args["w"])]
    for _ in range(1, spec.rows):
        rows.append(v.offset(rows[-1], args["pitch"]))
    start = [v.pointer(args["x"]), *rows, *[v.zero()] * (spec.rows * many)]
    with v.loop(turns, *start) as (turn, (x, *state), following):
        at, sums = state[: spec.rows], state[spec.rows :]
        left = b.sub(args["depth"], b.mul(turn, integer(step)))
        masks = [v.first_lanes(b.sub(left, integer(chain * v.lanes))) for chain in range(many)]
        parts = [v.load_masked(v.offset(x, chain * v.bytes), mask) for chain, mask in enumerate(masks)]
        updated = []
        for i, row in enumerate(at):
            for chain, mask in enumerate(masks):
                weights = v.load_masked(v.offset(row, chain * v.bytes), mask)
                updated.append(v.fma(weights, parts[chain], sums[i * many + chain]))
        following += [v.offset(x, many * v.bytes), *(v.offset(row, many * v.bytes) for row in at), *updated]
    sums = following[1 + spec.rows :]
    total = v.zero()
    for i in range(spec.rows):
        apart = sums[i * many : (i + 1) * many]
        while len(apart) > 1:
            apart = [b.fadd(one, other) for one, other in zip(apart[::2], apart[1::2], strict=True)]
        row, width = apart[0], v.lanes // 2
        while width:
            row = b.fadd(row, v.shuffle(row, None, [(j + width) % v.lanes for j in range(v.lanes)]))
            width //= 2
        total = b.insert_element(total, b.extract_element(row, ir.Constant(I32, 0)), ir.Constant(I32, i))
    tile = {"y": args["y"], "y_pitch": integer(0), "first": integer(1), "bias": args["bias"],
            "residual": args["residual"], "residual_pitch": integer(0), "activation": args["activation"]}  # fmt: skip
    finish_tile(v, 1, 1, False, v.first_lanes(integer(spec.rows)), tile, [total])
