"""The register tile under every dense convolution: y[i, :] (+)= sum over q of s_i(q) * v(q).

`i` runs over `rows` scalars that are broadcast, the lanes over `vectors` whole registers. See the contract in this
package's docstring for the two orientations and the operands' layouts.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import Vectors, integer
from fastconv.microkernels.finish import leaky, relu, relu6
from fastconv.microkernels.names import Name, parse
from fastconv.microkernels.parts import in_parts

ARGUMENTS = ("depth", "x", "table", "w", "pitch", "y", "y_pitch", "first", "bias", "residual", "residual_pitch",
             "activation", "last", "part", "ahead", "tiles", "x_step", "w_step", "y_step", "bias_step", "residual_step",
             "ahead_step")  # fmt: skip
MOVING = ("x", "w", "y", "bias", "residual", "ahead")  # from tile to tile
PREFETCH = 4096  # bytes ahead
# What the words of a name may be, see the contract.
VARIANTS = (
    *(
        (*words, *more)
        for words in (("px",), ("px", "strided"), ("px", "panel"), ("px", "strided", "panel"), ("ch",),
                      ("ch", "strided"), ("ch", "strided", "far"), ("ch", "near"))
        for more in ((), ("tail",), ("parts",), ("parts", "tail"))
    ),
    ("px", "strided", "pairs"),
    ("px", "strided", "pairs", "far"),
)  # fmt: skip
NONE, RELU, RELU6 = range(3)  # `activation`; anything larger is the address of leaky_relu's slope


@emitter("gemm")
def gemm(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Emit some tiles, one after another; see ARGUMENTS for the operands."""
    spec = parse(name)
    args = dict(zip(ARGUMENTS, operands, strict=True))
    v = Vectors(b, spec.dtype, spec.lanes)
    if "parts" in spec.variants:
        v.align_stack()
    mask = v.first_lanes(args["last"]) if "tail" in spec.variants else None
    step = b.mul(args["pitch"], integer(3)) if "strided" in spec.variants else None
    with v.loop(args["tiles"], *(args[key] for key in MOVING)) as (_, at, following):
        one_tile(v, spec, {**args, **dict(zip(MOVING, at, strict=True))}, mask, step)
        following += [b.add(place, args[f"{key}_step"]) for key, place in zip(MOVING, at, strict=True)]


def one_tile(v: Vectors, spec: Name, args: dict[str, ir.Value], mask: ir.Value | None, step: ir.Value | None) -> None:
    """Emit one tile; `step`: three pitches."""
    b, rows, vectors = v.b, spec.rows, spec.vectors
    words = ("px", "strided", "pairs", "panel", "far", "near", "tail")
    pixels, strided, pairs, panel, far, near, tail = (word in spec.variants for word in words)
    table, x, w = (v.pointer(args[name]) for name in ("table", "x", "w"))

    def load_vector(pointer, j):
        pointer = v.offset(pointer, j * v.bytes)
        if tail and j == vectors - 1 and pixels and not panel:
            return v.load_masked(pointer, mask)
        return v.load(pointer, align=None if pixels and not panel else v.bytes)

    def load_rows(base):
        """Every row's scalar. x86 reaches base + {0, 1, 2} * pitch at once, so the base moves every three rows; hidden
        from LLVM, which would keep all five bases of 14 rows in registers and spill (56 instead of 94 % of peak)."""
        if not strided:
            return [v.load_scalar(v.offset(base, i * v.size)) for i in range(rows)]
        scalars = []
        for i in range(rows):
            if i and i % 3 == 0:
                base = v.opaque(v.offset(base, step))
            pointer = v.offset(base, b.mul(args["pitch"], integer(i % 3))) if i % 3 else base
            scalars.append(v.load_scalar(pointer))
        return scalars

    # Stores would wait for one line after the other: 64 to 256 channels 1x1 1.4 times as fast.
    if pixels or far or near:
        at = v.pointer(args["y"])
        for _ in range(rows):
            for j in range(vectors):
                v.prefetch(v.offset(at, j * v.bytes), write=True)
            at = v.offset(at, args["y_pitch"])
    ahead = v.pointer(args["ahead"])
    w_step = (v.size if strided else rows * v.size) if pixels else vectors * v.bytes

    def multiply(table, weights, source, sums):
        """One product of every row with every lane: where table, weights and a panel of x go on, and the sums."""
        offset = v.load_integer(table)
        if panel or far:
            v.prefetch(v.offset(ahead, v.load_integer(v.offset(table, 16)) if pairs else offset), locality=2)
        if not pixels and not near:
            # Weights come from L3 or memory: 512 channels at 14x14 1.15 times as fast, none slower.
            for line in range(0, vectors * v.bytes, 64):
                v.prefetch(v.offset(weights, PREFETCH + line))
        place = source if panel else v.offset(source, offset)
        lanes_at, scalars_at = (place, weights) if pixels else (weights, place)
        if pairs:
            scalars_at = v.offset(w, v.load_integer(v.offset(table, 8)))
        row = [load_vector(lanes_at, j) for j in range(vectors)]
        updated = []
        for i, element in enumerate(load_rows(scalars_at)):
            scalar = v.broadcast(element)
            updated += [v.fma(scalar, row[j], sums[i * vectors + j]) for j in range(vectors)]
        after = v.offset(table, 24 if pairs else 8), weights if pairs else v.offset(weights, w_step)
        return *after, v.offset(source, vectors * v.bytes) if panel else source, *updated

    def add_up(depth, table, w, x):
        """Where table, weights and a panel of x go on after `depth` >= 1 products, and the tile's sums of these."""
        state = table, w, x, *[v.zero()] * (rows * vectors)
        if v.bytes == 64:
            with v.loop(depth, *state) as (_, (table, weights, source, *sums), following):
                following += multiply(table, weights, source, sums)
            return following
        # Half the lanes are half the cycles of a step, which the loop's branch would make 1.06 times as long.
        for count, steps in ((b.ashr(depth, integer(1)), 2), (b.and_(depth, integer(1)), 1)):
            with v.loop_or_none(count, *state) as (_, (table, weights, source, *sums), following):
                for _ in range(steps):
                    table, weights, source, *sums = multiply(table, weights, source, sums)
                following += table, weights, source, *sums
            state = following
        return state

    if "parts" in spec.variants:
        found = in_parts(v, args["depth"], args["part"], add_up, table, w, x)
    else:
        found = add_up(args["depth"], table, w, x)
    sums = found[3:]
    finish_tile(v, rows, vectors, pixels, mask, args, sums)


def finish_tile(v, rows, vectors, pixels, mask, args, sums, places=None):
    """Add what is in y, then bias, residual and activation, and store, all while the tile is in registers.

    Rows lie a pitch apart, or where `places(first row's address)` says, in y and in the residual.
    """
    b = v.b

    def load(pointer, j):
        pointer = v.offset(pointer, j * v.bytes)
        return v.load_masked(pointer, mask) if mask is not None and j == vectors - 1 else v.load(pointer)

    def choose(condition, change):
        """Replace `sums` by `change(sums)` where the run-time condition holds."""
        nonlocal sums
        before, then, after = b.block, b.append_basic_block("then"), b.append_basic_block("after")
        b.cbranch(condition, then, after)
        b.position_at_end(then)
        changed = change(sums)
        then = b.block
        b.branch(after)
        b.position_at_end(after)
        merged = []
        for old, new in zip(sums, changed, strict=True):
            phi = b.phi(v.type)
            phi.add_incoming(old, before)
            phi.add_incoming(new, then)
            merged.append(phi)
        sums = merged

    def rows_from(base, pitch):
        """Every row's address, from the first one on; made one by one, next to their use."""
        if places is not None:
            yield from places(base)
            return
        for _ in range(rows):
            yield base
            base = v.offset(base, args[pitch])

    def add_rows(base, pitch):
        def change(sums):
            out = []
            for i, pointer in enumerate(rows_from(base, pitch)):
                out += [b.fadd(sums[i * vectors + j], load(pointer, j)) for j in range(vectors)]
            return out

        return change

    def add_bias(sums):
        base = v.pointer(args["bias"])
        if pixels:
            rows_of = [v.broadcast(v.load_scalar(v.offset(base, i * v.size))) for i in range(rows)]
            return [b.fadd(sums[i * vectors + j], rows_of[i]) for i in range(rows) for j in range(vectors)]
        columns = [load(base, j) for j in range(vectors)]
        return [b.fadd(sums[i * vectors + j], columns[j]) for i in range(rows) for j in range(vectors)]

    def each(activation):
        return lambda sums: [activation(v, t) for t in sums]

    def leaky_relu(v, t):
        return leaky(v, t, v.broadcast(v.load_scalar(v.pointer(args["activation"]))))

    y = v.pointer(args["y"])
    zero = integer(0)
    choose(b.icmp_signed("==", args["first"], zero), add_rows(y, "y_pitch"))
    choose(b.icmp_signed("!=", args["bias"], zero), add_bias)
    choose(b.icmp_signed("!=", args["residual"], zero),
           add_rows(v.pointer(args["residual"]), "residual_pitch"))  # fmt: skip
    choose(b.icmp_signed("==", args["activation"], integer(RELU)), each(relu))
    choose(b.icmp_signed("==", args["activation"], integer(RELU6)), each(relu6))
    choose(b.icmp_signed(">", args["activation"], integer(RELU6)), each(leaky_relu))
    for i, row in enumerate(rows_from(y, "y_pitch")):
        for j in range(vectors):
            at = v.offset(row, j * v.bytes)
            if mask is not None and j == vectors - 1:
                v.store_masked(sums[i * vectors + j], at, mask)
            else:
                v.store(sums[i * vectors + j], at)
