"""How a convolution is cut: register tiles, chunks of the reduction, blocks of pixels. Pure Python."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from fastconv.job import PAGE
from fastconv.problem.conv import Problem
from fastconv.target import Target

CHUNK = 640  # products of a sum, at most about


RAGGED = 1.05  # shares of whole vectors that rows of pixels by themselves may take


def joined(problem: Problem, in_place: bool) -> bool:
    """Whether the rows of pixels that a block of whole rows needs follow one another in its strips: then tiles go on
    over their ends. 256 to 512 channels, 1x1 of stride 2 on 56x56: 49 vectors where rows of 28 pixels take 56."""
    return not in_place and problem.s == 1 and problem.layout == "channels_first"


def runs(problem: Problem, in_place: bool, apart: bool = False) -> tuple[int, int]:
    """How many runs of evenly spaced pixels tiles can have, and the pixels of one: rows, or the plane as one."""
    flat = (problem.r, problem.s) == (1, 1) and problem.stride == (1, 1) and problem.padding_zero
    whole = flat or apart or joined(problem, in_place)
    return (1, problem.oh * problem.ow) if whole else (problem.oh, problem.ow)


def ragged(problem: Problem, lanes: int) -> bool:
    """Whether rows of pixels by themselves leave many lanes empty, so that each column of taps had better have strips
    of its own, in which rows follow one another: 512 to 512 channels, 3x3 of stride 2 on 14x14, 43 to 60 % of peak."""
    return problem.oh > 1 and problem.s > 1 and -(-problem.ow // lanes) * lanes > RAGGED * problem.ow


def split(extent: int, most: int) -> tuple[int, int, int]:
    """Cut `extent` into the fewest near-equal parts of at most `most`: (parts, smaller size, how many are larger)."""
    parts = -(-extent // most)
    return parts, extent // parts, extent % parts


def sizes(extent: int, most: int) -> set[int]:
    """The part sizes that `split` makes."""
    parts, base, larger = split(extent, most)
    return ({base + 1} if larger else set()) | ({base} if larger < parts else set())


def most_vectors(rows: int, target: Target) -> int:
    """The widest tile of `rows` rows that LLVM keeps in registers: accumulators, one row of vectors, one broadcast."""
    free = target.registers - (2 if target.registers == 32 else 1)
    return max(1, min(8, free // (rows + 1)))


def tile_shapes(target: Target) -> Iterator[tuple[int, int]]:
    """(rows, vectors) limits worth trying."""
    for rows in range(1, 15 if target.registers == 32 else 7):
        yield rows, most_vectors(rows, target)


def tile_cycles(rows: int, vectors: int, target: Target, near: bool = False, offsets: int = 1) -> float:
    """Cycles of one step of a tile: one or two multiply-adds a cycle, latency four, seven loads or prefetches in four
    cycles (`offsets` of them from a table), and vectors from L2 at 20 bytes a cycle, or twice that if they are near.

    Vectors of half a line take half the prefetches. Their steps are short, so what each takes besides counts more: on
    Zen 3 6x2 takes 6.7 cycles, 5x2 5.6, 4x2 4.6, 4x3 6.8, 3x3 5.3, 6x1 4.5, 2x5 7, 1x7 8.2. In a layer 4x2 takes 5, as
    it reads a fourth more for each multiply-add (decision 25).

    The last term breaks ties: each load that can be saved saves a twentieth of a cycle.
    """
    lines = vectors * target.vector_bytes / 64
    if target.registers == 16:
        loads, products = (rows + vectors + lines + 1 + offsets) / 2.2, 0.45 * rows * vectors + 1.4
    else:
        loads, products = (rows + 2 * vectors + 1 + offsets) / 1.75, rows * vectors / target.multiply_adds
    return max(products, 4.0, loads, lines * (1.6 if near else 3.2)) + (rows + vectors) / 20


@functools.lru_cache(maxsize=4096)
def choose_tile(rows: int, vectors: int, target: Target, offsets: int = 1) -> tuple[int, int, float]:
    """The (row, vector) limits that cover rows x vectors in the fewest cycles, and those cycles."""
    best = None
    for most_rows, widest in tile_shapes(target):
        if most_rows > max(rows, 1):
            break
        for most_lanes in {widest, max(1, widest - 1)}:
            heights, widths = counted(rows, most_rows), counted(vectors, most_lanes)
            cycles = sum(
                count * times * tile_cycles(size, width, target, offsets=offsets)
                for size, count in heights
                for width, times in widths
            )
            # Unequal parts leave threads with unequal shares, if they are few (not tried where vectors are long).
            for parts in (heights, widths):
                few = 8 / sum(count for _, count in parts) if target.registers == 16 else 1.0
                cycles *= 1 + 0.03 * min(1.0, few) * (len(parts) - 1)
            if best is None or cycles < best[2]:
                best = (most_rows, most_lanes, cycles)
    return best


def counted(extent: int, most: int) -> list[tuple[int, int]]:
    """(size, how many) of the parts that `split` makes."""
    parts, base, larger = split(extent, most)
    return [(size, count) for size, count in ((base + 1, larger), (base, parts - larger)) if count]


@dataclass(frozen=True)
class Chunk:
    """A part of the reduction: input channels with all taps, or rows of one channel's taps, or a piece of one row."""

    channels: int
    rows: int
    columns: int

    @property
    def products(self) -> int:
        """Products of a whole chunk."""
        return self.channels * self.rows * self.columns

    def count(self, channels: int, r: int, s: int) -> int:
        """How many chunks there are in all."""
        return -(-channels // self.channels) * -(-r // self.rows) * -(-s // self.columns)


def chunk_of(channels: int, r: int, s: int) -> Chunk:
    """The chunks of the reduction over `channels` channels of r x s taps.

    A chunk of about 512 products keeps a tile's weights in L1 and the cost of adding up chunks below 1 %; kernels with
    more taps than two chunks are cut too, so that nothing that is packed grows with them. A chunk depends on nothing
    but the problem, because it fixes the order of the sum.
    """

    def part(extent: int, each: int) -> int:
        parts = -(-extent * each // CHUNK)
        return -(-extent // min(parts, extent)) if parts > 1 else extent

    if r * s <= 2 * CHUNK:
        return Chunk(part(channels, r * s), r, s)
    if s <= 2 * CHUNK:
        return Chunk(1, part(r, s), s)
    return Chunk(1, 1, part(s, 1))


def dense_chunk(problem: Problem) -> Chunk:
    """The chunks of a convolution on vectors.

    Where a 1x1 kernel makes few outputs of planes, memory decides: all channels of a few pixels lie in as many pages,
    which no processor fetches ahead. Runs of a few planes follow one another, and sums stay in L2: decision 32.
    """
    whole = chunk_of(problem.c // problem.groups, problem.r, problem.s)
    if (problem.r, problem.s, *problem.stride, problem.groups) != (1, 1, 1, 1, 1) or problem.precision == "strict":
        return whole
    planes = problem.layout == "channels_first" and problem.h * problem.w * problem.itemsize >= PAGE
    if problem.k > 8 or not planes:
        return whole
    most = 8 if problem.k <= 4 else 32
    return Chunk(-(-problem.c // -(-problem.c // most)), 1, 1)


def part_products(products: int, few: bool) -> int:
    """Products of one part of a strict sum of `products`; parts are added up by themselves, then to one another.

    About four roots: rounding errors grow with the length of a part and with the number of parts. Two roots where there
    are `few` outputs, which other libraries compute as the dot product of vectors, whose lanes are so many short sums.
    """
    most = max(8, 2 * math.isqrt(products)) * (1 if few else 2)
    return -(-products // -(-products // most))


def chunk_winograd(channels: int) -> int:
    """Input channels in one chunk of a Winograd product's sum: at most 64, in whole vectors of any machine.

    Errors of these sums are what the transforms back amplify most: they grow with the root of a chunk. A chunk's
    weights also stay in L1 while the tiles of a block go by.
    """
    return even_parts(channels, -(-channels // 64), 16)


@dataclass(frozen=True)
class Runs:
    """Input lines of a strip along one axis: their offsets, and where each tap's run of them starts."""

    lines: tuple[int, ...]
    starts: tuple[int, ...]


def runs_of(height: int, taps: int, stride: int, dilation: int) -> Runs:
    """The fewest input lines such that each tap reads `height` of them in sequence, `stride` input lines apart."""
    classes = _classes(taps, stride, dilation)
    if _apart(height, taps, classes):
        lines = [i * stride + j * dilation for j in range(taps) for i in range(height)]
        return Runs(tuple(lines), tuple(j * height for j in range(taps)))
    lines, base = [], {}
    for residue, top in classes.items():
        base[residue] = len(lines)
        lines += [i * stride + residue for i in range(height + top)]
    starts = [base[(j * dilation) % stride] + (j * dilation) // stride for j in range(taps)]
    return Runs(tuple(lines), tuple(starts))


def count_lines(height: int, taps: int, stride: int, dilation: int) -> int:
    """How many lines `runs_of` lists."""
    classes = _classes(taps, stride, dilation)
    return taps * height if _apart(height, taps, classes) else sum(height + top for top in classes.values())


def _classes(taps: int, stride: int, dilation: int) -> dict[int, int]:
    """Each residue of a tap's offset by the stride, and its last tap's offset in strides."""
    return {(j * dilation) % stride: (j * dilation) // stride for j in range(taps)}


def _apart(height: int, taps: int, classes: dict[int, int]) -> bool:
    """Whether it takes fewer lines if no two taps share them."""
    return sum(height + top for top in classes.values()) > taps * height


@dataclass(frozen=True)
class Columns:
    """Input columns of a strip: pieces of `width` columns, `step` apart, and where each tap's run of them starts."""

    firsts: tuple[int, ...]
    width: int
    step: int
    parts: tuple[int, ...]  # of a tap: its piece, and the place in it
    places: tuple[int, ...]


def columns_of(run: int, taps: int, stride: int, dilation: int, *, contiguous: bool, apart: bool = False) -> Columns:
    """Columns such that each tap reads `run` of them: as x has them, or with those side by side that a tap reads.

    Where taps lie so far apart that most columns between them would be packed for nothing, or it is asked for, each has
    its own.
    """
    across = [j * dilation for j in range(taps)]
    if contiguous:
        width = (run - 1) * stride + across[-1] + 1
        found, limit = Columns((0,), width, 1, (0,) * taps, tuple(across)), 2 * taps * run
    else:
        firsts = sorted({a % stride for a in across})
        parts = tuple(firsts.index(a % stride) for a in across)
        width = run + across[-1] // stride
        found, limit = Columns(tuple(firsts), width, stride, parts, tuple(a // stride for a in across)), taps * run
    if len(found.firsts) * width <= limit and not apart:
        return found
    return Columns(tuple(across), run, stride, tuple(range(taps)), (0,) * taps)


def even_parts(extent: int, parts: int, multiple: int) -> int:
    """A part size, a multiple of `multiple`, that cuts `extent` into about `parts`."""
    return max(multiple, math.ceil(extent / max(parts, 1) / multiple) * multiple)
