"""The transforms of Winograd convolution, lanes across channels: no value ever changes its lane.

wgin      tiles of x, at stride 1 (mh + r - 1) x (mw + s - 1) pixels each, to one value for every product xi
wgweight  r x s taps to one value for every product xi, or for those products that share it
wgout     the products' sums to mh x mw pixels of y, finished as a register tile is
wgdy      tiles of y's gradient, mh x mw pixels each, to one value for every product
wgdw      the products' sums, added up where they share w's values, to the gradients of r x s taps

wgpairin, wgpairweight      as wgin, wgweight for matrix tiles: the values of two vectors of channels become rows and
lanes of pairs of bfloat16 parts (`amxparts`)

Both dimensions use `toomcook`, columns first. Neighbouring tiles of a row share s - stride columns, which stay in
registers.
"""

from __future__ import annotations

import re
from fractions import Fraction

from llvmlite import ir

from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import Vectors, integer
from fastconv.microkernels import toomcook
from fastconv.microkernels.amxparts import PARTS, STEP, Parts, products_of
from fastconv.microkernels.gemm import finish_tile
from fastconv.microkernels.names import parse

INPUT = ("x", "x_row", "x_pixel", "tiles", "v", "v_xi", "v_tile")
OUTPUT = ("z", "z_xi", "z_tile", "tiles", "y", "y_row", "y_pixel", "rows", "columns", "dump", "bias", "residual",
          "activation", "last")  # fmt: skip
WEIGHT_GRAD = ("z", "z_xi", "z_tile", "tiles", "dw", "dw_tap", "dw_tile")
WEIGHT = ("w", "w_tap", "w_row", "w_channel", "channels", "u", "u_xi", "u_channel")
LOW = ("low", "low_xi", "low_tile")  # of wgpairin: the values of the vector that comes first in pairs


# Output pixels of a tile along an axis, by the kernel's taps along it.
TILES = {1: (1,), 2: (2, 4), 3: (2, 3, 4, 5, 6), 4: (2, 3, 4), 5: (2, 4), 7: (2,)}
STRIDED_TILES = {3: (2, 3, 4), 4: (2, 3, 4), 5: (2, 3, 4), 7: (2,)}  # and at stride 2
SIGNAL_TILES = {(8, 4): (2, 4), (10, 5): (2, 4), (16, 8): (2, 4)}  # and of signals, by taps and stride


def tiles(r: int, s: int, sh: int = 1, sw: int = 1) -> list[tuple[int, int]]:
    """The tiles that r x s kernels at a stride have transforms for, none if there are none."""
    if (sh, sw) == (2, 2):
        return [(m, m) for m in STRIDED_TILES.get(r, ()) if r == s]
    if sh == 1 < sw:
        across = STRIDED_TILES.get(s, ()) if sw == 2 else SIGNAL_TILES.get((s, sw), ())
        return [(1, m) for m in across if r == 1]
    if (sh, sw) != (1, 1) or (r, s) == (1, 1) or r not in TILES or s not in TILES:
        return []
    if 1 in (r, s):
        return [(mh, mw) for mh in TILES[r] for mw in TILES[s]]
    if r == s:
        return [(m, m) for m in TILES[r]]
    return [(2, 2), (4, 4)] if {r, s} == {2, 3} else [(2, 2)]


def word(mh: int, mw: int, r: int, s: int, sh: int = 1, sw: int = 1) -> str:
    """The word of a transform in kernels' names."""
    return f"{mh}x{mw}k{r}x{s}" + (f"s{sh}x{sw}" if (sh, sw) != (1, 1) else "")


def variants() -> list[str]:
    """The words of all transforms in kernels' names, at stride 1."""
    return [word(mh, mw, r, s) for r in TILES for s in TILES for mh, mw in tiles(r, s)]


def strided_variants() -> list[str]:
    """The words of all others."""
    kinds = [(r, r, 2, 2) for r in STRIDED_TILES] + [(1, s, 1, 2) for s in STRIDED_TILES]
    kinds += [(1, s, 1, sw) for s, sw in SIGNAL_TILES]
    return [word(mh, mw, *kind) for kind in kinds for mh, mw in tiles(*kind)]


def sizes(variant: str) -> tuple[int, int, int, int, int, int]:
    """(mh, mw, r, s, sh, sw) of a variant such as 4x4k3x3 or 4x4k3x3s2x2."""
    mh, mw, r, s, sh, sw = (int(number) for number in [*re.findall(r"\d+", variant), 1, 1][:6])
    return mh, mw, r, s, sh, sw


class Registers:
    """`toomcook`'s operations on vectors; `v` computes, numbers are rounded to its type."""

    def __init__(self, v: Vectors):
        self.v = v

    def add(self, a, b):
        return self.v.b.fadd(a, b)

    def sub(self, a, b):
        return self.v.b.fsub(a, b)

    def mul(self, value, number: Fraction):
        return self.v.b.fmul(value, self.v.constant(float(number)))

    def fma(self, value, number: Fraction, addend):
        # p and -p share one constant: x86 negates a product for nothing.
        if number < 0:
            value, number = self.v.b.fneg(value), -number
        return self.v.fma(value, self.v.constant(float(number)), addend)


class _Walk:
    """An address that moves by the same run-time step each time.

    Hidden from LLVM, which would keep every multiple of the step in a register of its own, and spill.
    """

    def __init__(self, v: Vectors, start: ir.Value, step: ir.Value):
        self.v, self.at, self.step = v, start, step

    def next(self) -> ir.Value:
        here = self.at
        self.at = self.v.opaque(self.v.offset(here, self.step))
        return here


@emitter("wgpairin")
@emitter("wgin")
def transform_input(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """v[xi, tile] = (B^T x B)[xi] for `tiles` tiles side by side, mw * stride pixels apart."""
    spec = parse(name)
    paired = spec.op == "wgpairin"
    args = dict(zip(INPUT + LOW * paired, operands, strict=True))
    mh, mw, r, s, sh, sw = sizes(spec.variants[-1])
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    ops = Registers(v)

    def column(at):
        walk = _Walk(v, at, args["x_row"])
        pixels = [v.load(walk.next(), align=v.bytes) for _ in range((mh - 1) * sh + r)]
        return toomcook.transform_input(ops, pixels, mh, r, sh)

    x = _Walk(v, v.pointer(args["x"]), args["x_pixel"])
    shared = [value for _ in range(s - sw) for value in column(x.next())]
    state = [v.pointer(args["low"])] if paired else []
    parts = Parts(v, PARTS[products_of(spec.variants)], computed=True) if paired else None
    with v.loop(args["tiles"], x.at, v.pointer(args["v"]), *state, *shared) as (_, (at, to, *state), following):
        x, out, shared = _Walk(v, at, args["x_pixel"]), _Walk(v, to, args["v_xi"]), state[paired:]
        low = _Walk(v, state[0], args["low_xi"]) if paired else None
        height = toomcook.products(mh, r, sh)
        columns = [shared[i : i + height] for i in range(0, len(shared), height)]
        columns += [column(x.next()) for _ in range(mw * sw)]
        for i in range(height):
            for value in toomcook.transform_input(ops, [line[i] for line in columns], mw, s, sw):
                if paired:
                    parts.store_pairs(v.load(low.next(), align=v.bytes), value, out.next())
                else:
                    v.store(value, out.next(), align=v.bytes)
        following += [x.at, v.offset(to, args["v_tile"])]
        following += [v.offset(state[0], args["low_tile"])] if paired else []
        following += [value for line in columns[len(columns) - s + sw :] for value in line]


@emitter("wgout")
def transform_output(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """y[pixel] = act((A^T z A)[pixel] + bias + residual[pixel]) for `tiles` tiles side by side.

    Pixels beyond `rows` and `columns` go to `dump`, a vector that nobody reads.
    """
    spec = parse(name)
    args = dict(zip(OUTPUT, operands, strict=True))
    tail = spec.variants[-1] == "tail"
    mh, mw, r, s, sh, sw = sizes(spec.variants[0])
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    ops, zero = Registers(v), integer(0)
    mask = v.first_lanes(args["last"]) if tail else None
    dump = v.pointer(args["dump"])
    there = b.icmp_signed("!=", args["residual"], zero)
    step = b.mul(args["y_pixel"], integer(mw))
    residual_step = b.select(there, step, zero)
    state = (v.pointer(args["z"]), args["y"], args["residual"], args["columns"])
    with v.loop(args["tiles"], *state) as (_, (z, y, residual, left), following):
        walk = _Walk(v, z, args["z_xi"])
        high, wide = toomcook.products(mh, r, sh), toomcook.products(mw, s, sw)
        rows = [[v.load(walk.next(), align=v.bytes) for _ in range(wide)] for _ in range(high)]
        rows = [toomcook.transform_output(ops, row, mw, s, sw) for row in rows]
        columns = [toomcook.transform_output(ops, [row[j] for row in rows], mh, r, sh) for j in range(mw)]

        def places(base):
            found = []
            for i in range(mh):
                at = base
                inside = b.icmp_signed("<", integer(i), args["rows"])
                for j in range(mw):
                    kept = b.and_(inside, b.icmp_signed("<", integer(j), left))
                    found.append(b.select(kept, at, dump))
                    at = v.offset(at, args["y_pixel"])
                base = v.offset(base, args["y_row"])
            return found

        out = {"y": y, "first": integer(1), "bias": args["bias"], "residual": residual,
               "activation": args["activation"]}  # fmt: skip
        sums = [columns[j][i] for i in range(mh) for j in range(mw)]
        finish_tile(v, mh * mw, 1, False, mask, out, sums, places)
        following += [v.offset(z, args["z_tile"]), b.add(y, step), b.add(residual, residual_step)]
        following.append(b.sub(left, integer(mw)))


@emitter("wgpairweight")
@emitter("wgweight")
def transform_weight(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """u[xi, c] = (G w G^T)[xi] for `channels` channels c, or pairs of them, in float64, rounded once."""
    spec = parse(name)
    args = dict(zip(WEIGHT, operands, strict=True))
    mh, mw, r, s, sh, sw = sizes(spec.variants[-1])
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    wide = Vectors(b, "f64", spec.lanes)
    ops = Registers(wide)
    paired = spec.op == "wgpairweight"

    def transformed(w):
        """One channel's values."""
        lines, rows = _Walk(v, w, args["w_row"]), []
        for _ in range(r):
            taps = _Walk(v, lines.next(), args["w_tap"])
            row = [v.load(taps.next(), align=v.bytes) for _ in range(s)]
            row = [b.fpext(tap, wide.type) for tap in row] if v.dtype == "f32" else row
            rows.append(toomcook.transform_weight(ops, row, mw, s, sw))
        columns = [toomcook.transform_weight(ops, list(column), mh, r, sh) for column in zip(*rows, strict=True)]
        values = (value for row in zip(*columns, strict=True) for value in row)
        return (b.fptrunc(value, v.type) if v.dtype == "f32" else value for value in values)

    if paired:
        parts = Parts(v, PARTS[products_of(spec.variants)], computed=True)
        later = b.mul(args["w_channel"], integer(STEP // 2))
        with b.goto_entry_block():
            first = b.alloca(ir.ArrayType(v.type, (mh + r - 1) * (mw + s - 1)))
        first.align = v.bytes
        first = v.pointer(b.ptrtoint(first, args["w"].type))
    with v.loop(args["channels"], v.pointer(args["w"]), v.pointer(args["u"])) as (_, (w, u), following):
        out = _Walk(v, u, args["u_xi"])
        if paired:
            for xi, value in enumerate(transformed(w)):
                v.store(value, v.offset(first, xi * v.bytes), align=v.bytes)
            for xi, value in enumerate(transformed(v.offset(w, later))):
                parts.store_pairs(v.load(v.offset(first, xi * v.bytes), align=v.bytes), value, out.next())
        else:
            for value in transformed(w):
                v.store(value, out.next(), align=v.bytes)
        following += [v.offset(w, args["w_channel"]), v.offset(u, args["u_channel"])]


@emitter("wgdy")
def transform_output_grad(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """v[xi, tile] = (A dy A^T)[xi] for `tiles` tiles side by side, mw pixels apart; operands as those of wgin."""
    spec = parse(name)
    args = dict(zip(INPUT, operands, strict=True))
    mh, mw, r, s, sh, sw = sizes(spec.variants[-1])
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    ops = Registers(v)
    with v.loop(args["tiles"], v.pointer(args["x"]), v.pointer(args["v"])) as (_, (at, to), following):
        y, out, columns = _Walk(v, at, args["x_pixel"]), _Walk(v, to, args["v_xi"]), []
        for _ in range(mw):
            walk = _Walk(v, y.next(), args["x_row"])
            pixels = [v.load(walk.next(), align=v.bytes) for _ in range(mh)]
            columns.append(toomcook.transform_output_grad(ops, pixels, mh, r, sh))
        for line in zip(*columns, strict=True):
            for value in toomcook.transform_output_grad(ops, line, mw, s, sw):
                v.store(value, out.next(), align=v.bytes)
        following += [y.at, v.offset(to, args["v_tile"])]


@emitter("wgdw")
def transform_weight_grad(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """dw[tap, tile] = (G^T z G)[tap] for `tiles` vectors of sums."""
    spec = parse(name)
    args = dict(zip(WEIGHT_GRAD, operands, strict=True))
    mh, mw, r, s, sh, sw = sizes(spec.variants[-1])
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    ops = Registers(v)
    with v.loop(args["tiles"], v.pointer(args["z"]), v.pointer(args["dw"])) as (_, (z, dw), following):
        walk, out = _Walk(v, z, args["z_xi"]), _Walk(v, dw, args["dw_tap"])
        rows = []
        high, wide = (toomcook.weights(*axis)[-1] + 1 for axis in ((mh, r, sh), (mw, s, sw)))
        for _ in range(high):
            row = [v.load(walk.next(), align=v.bytes) for _ in range(wide)]
            rows.append(toomcook.transform_weight_grad(ops, row, mw, s, sw))
        columns = [toomcook.transform_weight_grad(ops, [row[j] for row in rows], mh, r, sh) for j in range(s)]
        for i in range(r):
            for j in range(s):
                v.store(columns[j][i], out.next(), align=v.bytes)
        following += [v.offset(z, args["z_tile"]), v.offset(dw, args["dw_tile"])]
