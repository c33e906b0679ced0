"""How a convolution is cut: register tiles, chunks of the reduction, blocks of pixels. Pure Python."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from fastconv.target import Target


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


def tile_cycles(rows: int, vectors: int, near: bool = False) -> float:
    """Cycles of one step of a tile: two multiply-adds a cycle, latency four, seven loads in four cycles, and vectors
    from L2 at 20 bytes a cycle, or twice that if they are near.

    The last term breaks ties: each load that can be saved saves a twentieth of a cycle.
    """
    return (
        max(rows * vectors / 2, 4.0, (rows + vectors + 1) / 1.75, vectors * (1.6 if near else 3.2))
        + (rows + vectors) / 20
    )


@functools.lru_cache(maxsize=4096)
def choose_tile(rows: int, vectors: int, target: Target) -> tuple[int, int, float]:
    """The (row, vector) limits that cover rows x vectors in the fewest cycles, and those cycles."""
    best = None
    for most_rows, widest in tile_shapes(target):
        if most_rows > max(rows, 1):
            break
        for most_lanes in {widest, max(1, widest - 1)}:
            heights, widths = counted(rows, most_rows), counted(vectors, most_lanes)
            cycles = sum(count * times * tile_cycles(size, width) for size, count in heights for width, times in widths)
            # Unequal parts leave threads with unequal shares.
            cycles *= 1 + 0.03 * (len(heights) + len(widths) - 2)
            if best is None or cycles < best[2]:
                best = (most_rows, most_lanes, cycles)
    return best


def counted(extent: int, most: int) -> list[tuple[int, int]]:
    """(size, how many) of the parts that `split` makes."""
    parts, base, larger = split(extent, most)
    return [(size, count) for size, count in ((base + 1, larger), (base, parts - larger)) if count]


def chunk_channels(channels: int, taps: int) -> int:
    """Input channels in one chunk of the reduction.

    A chunk of about 512 products keeps a tile's weights in L1 and the cost of adding up chunks below 1 %; it depends
    on nothing but the problem, because it fixes the order of the sum.
    """
    parts = -(-channels * taps // 640)
    return -(-channels // min(parts, channels)) if parts > 1 else channels


def part_products(products: int, few: bool) -> int:
    """Products of one part of a strict sum of `products`; parts are added up by themselves, then to one another.

    About four roots: rounding errors grow with the length of a part and with the number of parts. Two roots where there
    are `few` outputs, which other libraries compute as the dot product of vectors, whose lanes are so many short sums.
    """
    most = max(16, 2 * math.isqrt(products)) * (1 if few else 2)
    return -(-products // -(-products // most))


def chunk_winograd(channels: int) -> int:
    """Input channels in one chunk of a Winograd product's sum: at most 64, in whole vectors of any machine.

    Errors of these sums are what the transforms back amplify most: they grow with the root of a chunk. A chunk's
    weights also stay in L1 while the tiles of a block go by.
    """
    return even_parts(channels, -(-channels // 64), 16)


@dataclass(frozen=True)
class Strips:
    """Which input rows a block of output rows needs: their offsets, and where each kernel row's run of them starts."""

    rows: tuple[int, ...]
    starts: tuple[int, ...]


def strip_rows(height: int, r: int, stride: int, dilation: int) -> Strips:
    """The fewest rows such that kernel row j reads `height` of them in sequence, `stride` input rows apart."""
    classes: dict[int, int] = {}
    for j in range(r):
        residue, step = (j * dilation) % stride, (j * dilation) // stride
        classes[residue] = max(classes.get(residue, 0), step)
    if sum(height + top for top in classes.values()) > r * height:
        rows = [i * stride + j * dilation for j in range(r) for i in range(height)]
        return Strips(tuple(rows), tuple(j * height for j in range(r)))
    rows, base = [], {}
    for residue, top in classes.items():
        base[residue] = len(rows)
        rows += [i * stride + residue for i in range(height + top)]
    starts = [base[(j * dilation) % stride] + (j * dilation) // stride for j in range(r)]
    return Strips(tuple(rows), tuple(starts))


def even_parts(extent: int, parts: int, multiple: int) -> int:
    """A part size, a multiple of `multiple`, that cuts `extent` into about `parts`."""
    return max(multiple, math.ceil(extent / max(parts, 1) / multiple) * multiple)
