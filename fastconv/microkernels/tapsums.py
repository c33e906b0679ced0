"""Weight gradients of depthwise stencils: for every tap, the sum of dy times the pixels that it fell on.

stencilweight  lanes are neighbouring pixels of an output row; planes are read in place and give one number a tap
depthweight    lanes are channels; both operands are packed, and every tap has a vector of sums in memory

`stencilweight` walks down a strip of columns as the forward kernel does (`stencil`): each row of x is loaded once and
shifted in registers, and meets the rows of dy of all the windows that it belongs to, which wait in registers. The sums
stay there from the first image to the last; kernels with more taps than registers take a few of their rows at a time.
"""

from __future__ import annotations

from llvmlite import ir

from fastconv.blocking import counted
from fastconv.codegen.emit import emitter
from fastconv.codegen.vector import Vectors, integer
from fastconv.microkernels.names import parse
from fastconv.microkernels.stencil import Row
from fastconv.target import Target

STENCIL = ("images", "x", "x_image", "x_next", "x_row", "top", "height", "left", "width", "zeros", "dy", "dy_image",
           "dy_next", "dy_row", "run", "runs", "dw")  # fmt: skip
CHANNELS = ("dy", "dy_run", "dy_pixel", "x", "x_run", "x_pixel", "table", "sums", "runs", "run")
MOST_TAPS = 9  # of depthweight: an address each, of 15 registers that x86 has for them


def kernel_rows(r: int, s: int, stride: int, isa: str) -> list[int]:
    """The kernel's rows cut into parts whose sums stay in registers, beside rows of dy and three vectors of x.

    One more than there are may be asked for: LLVM then spills a row of dy, which costs less than another walk.
    """
    free = Target(isa).registers - 2
    most = max([1, *(rows for rows in range(1, r + 1) if rows * s - -rows // stride <= free)])
    return [rows for rows, count in counted(r, most) for _ in range(count)]


@emitter("stencilweight")
def stencilweight(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Emit the sums over `runs` rows of dy of `run` pixels, of each of some images; runs >= ceil(kernel / stride).

    `x` is where the first window starts; `top` and `left` (it lies `left` columns before column 0) may be outside.
    """
    spec = parse(name)
    args = dict(zip(STENCIL, operands, strict=True))
    v = Vectors(b, spec.dtype, spec.lanes)
    v.align_stack()
    r, s, stride = (int(part) for part in spec.variants[-1].replace("s", "x").split("x"))
    parts = kernel_rows(r, s, stride, spec.isa)
    first_rows = [sum(parts[:i]) for i in range(len(parts))]
    last, strips = b.sub(args["images"], integer(1)), b.sdiv(b.add(args["run"], integer(v.lanes - 1)), integer(v.lanes))
    state = (args["x"], args["dy"], *[v.zero()] * (r * s))
    with v.loop(args["images"], *state) as (image, (x, dy, *sums), after_image):
        is_last, ahead = b.icmp_signed("==", image, last), {}
        for array in ("x", "dy"):
            step = args[f"{array}_image"]
            to_next = b.sub(args[f"{array}_next"], b.mul(last, step))
            ahead[array] = b.select(is_last, to_next, step)
        done = []
        for rows, first_row in zip(parts, first_rows, strict=True):
            top = b.add(args["top"], integer(first_row))
            above = b.add(x, b.mul(args["x_row"], integer(first_row)))
            own = sums[first_row * s : (first_row + rows) * s]
            with v.loop(strips, *own) as (part, own, after_strip):
                first = b.mul(part, integer(v.lanes))
                column = b.mul(first, integer(stride))
                read = Row(v, 1, s, stride, b.sub(column, args["left"]), args["width"])
                valid = v.first_lanes(b.sub(args["run"], first))
                start = (b.add(above, b.mul(column, integer(v.size))), top, b.add(dy, b.mul(first, integer(v.size))))
                after_strip += _walk(v, args, read, valid, rows, s, stride, start, own, ahead if not done else None)
            done += after_strip
        after_image += [b.add(x, args["x_image"]), b.add(dy, args["dy_image"]), *done]
    _store_totals(v, after_image[2:], args["dw"])


def _walk(v: Vectors, args, read, valid, rows: int, s: int, stride: int, start, sums: list, ahead) -> list:
    """The sums after one image's strip. At each step a row of dy comes and `stride` rows of x, which meet the rows of
    dy that are there. The first steps have few of these, and the last ones none that is new; they are apart, because a
    row of zeros in their place would make NaN of infinite pixels that no window sees. What lies `ahead` of x and dy is
    asked for.
    """
    b, waiting = v.b, -(-rows // stride)
    none = v.zero()

    def step(line, h, sums, lines):
        """Add `stride` rows of x times the rows of dy in `lines`, newest first; None: there is none."""
        sums = list(sums)
        if ahead and lines[0] is not None:
            for m in range(stride):
                v.ask_for(b.add(line, b.add(ahead["x"], b.mul(args["x_row"], integer(m)))), stride)
        for m in range(stride):
            meetings = [(m + stride * d, dy) for d, dy in enumerate(lines) if dy is not None and m + stride * d < rows]
            if meetings:
                inside = b.icmp_unsigned("<", h, args["height"])
                taps = read(v.pointer(b.select(inside, line, args["zeros"])))
                for j, (tap,) in enumerate(taps):
                    tap = b.select(valid, tap, none)  # what lies beyond the row must not meet a zero: Inf * 0
                    for i, dy in meetings:
                        sums[i * s + j] = v.fma(tap, dy, sums[i * s + j])
            line, h = b.add(line, args["x_row"]), b.add(h, integer(1))
        return line, h, sums

    def load(dy):
        if ahead:
            v.ask_for(b.add(dy, ahead["dy"]), 1)
        return v.load_masked(v.pointer(dy), valid), b.add(dy, args["dy_row"])

    line, h, dy = start
    lines = [None] * (waiting - 1)
    for _ in range(waiting - 1):
        newest, dy = load(dy)
        line, h, sums = step(line, h, sums, [newest, *lines])
        lines = [newest, *lines[:-1]]
    count = b.sub(args["runs"], integer(waiting - 1))
    with v.loop(count, line, h, dy, *lines, *sums) as (_, (line, h, dy, *state), following):
        newest, dy = load(dy)
        lines = [newest, *state[: waiting - 1]]
        line, h, sums = step(line, h, state[waiting - 1 :], lines)
        following += [line, h, dy, *lines[:-1], *sums]
    line, h, dy, *state = following
    lines, sums = state[: waiting - 1], state[waiting - 1 :]
    for _ in range(waiting - 1):
        line, h, sums = step(line, h, sums, [None, *lines])
        lines = [None, *lines[:-1]]
    return sums


def _store_totals(v: Vectors, sums: list, to: ir.Value) -> None:
    """Write the sum of each vector's lanes, side by side."""
    for first in range(0, len(sums), v.lanes):
        some = sums[first : first + v.lanes]
        total = _totals(v, some + [v.zero()] * (v.lanes - len(some)))
        mask = ir.Constant(v.mask_type, [int(lane < len(some)) for lane in range(v.lanes)])
        v.store_masked(total, v.pointer(v.b.add(to, integer(first * v.size))), mask)


def _totals(v: Vectors, vectors: list) -> ir.Value:
    """As many vectors as lanes: the sums of their lanes, by adding neighbouring lanes of two at a time."""
    while len(vectors) > 1:
        even, odd = ([2 * lane + part for lane in range(v.lanes)] for part in range(2))
        vectors = [
            v.b.fadd(v.shuffle(one, other, even), v.shuffle(one, other, odd))
            for one, other in zip(vectors[::2], vectors[1::2], strict=True)
        ]
    return vectors[0]


@emitter("depthweight")
def depthweight(b: ir.IRBuilder, name: str, operands: list[ir.Value]) -> None:
    """Emit sums[t] += sum over `runs` rows of `run` pixels: dy[pixel] * x[pixel + table[t]]; vectors."""
    spec = parse(name)
    args = dict(zip(CHANNELS, operands, strict=True))
    v = Vectors(b, spec.dtype, spec.lanes)
    table, zeros = v.pointer(args["table"]), [v.zero()] * spec.rows
    taps = [v.load_integer(v.offset(table, 8 * t)) for t in range(spec.rows)]
    start = (v.pointer(args["dy"]), v.pointer(args["x"]))
    with v.loop(args["runs"], *start, *zeros) as (_, (dy_line, x_line, *sums), after_row):
        lines = [v.offset(x_line, tap) for tap in taps]
        with v.loop(args["run"], dy_line, integer(0), *sums) as (_, (dy, across, *sums), following):
            pixel = v.load(dy)
            # Opaque, or LLVM unrolls the loop and keeps two addresses a tap, more than there are registers.
            following += [v.offset(dy, args["dy_pixel"]), v.opaque(b.add(across, args["x_pixel"]))]
            for line, total in zip(lines, sums, strict=True):
                following.append(v.fma(v.load(v.offset(line, across), align=v.bytes), pixel, total))
        after_row += [v.offset(dy_line, args["dy_run"]), v.offset(x_line, args["x_run"]), *following[2:]]
    for t, total in enumerate(after_row[2:]):
        place = v.offset(v.pointer(args["sums"]), t * v.bytes)
        v.store(b.fadd(v.load(place, align=v.bytes), total), place, align=v.bytes)
