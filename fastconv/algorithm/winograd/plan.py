"""How a Winograd convolution is cut into tasks, and what lies where in their scratch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

from fastconv import blocking, job, workspace
from fastconv.algorithm import output
from fastconv.algorithm.common import names_of
from fastconv.algorithm.cut import block_sizes
from fastconv.algorithm.winograd import tasks as t_
from fastconv.algorithm.winograd.members import Member
from fastconv.algorithm.winograd.tiles import LOW_XI, between_products, block_bytes
from fastconv.codegen.tiles import ROWS
from fastconv.cost import winograd_start_cycles, winograd_task_cycles, winograd_weight_cycles
from fastconv.microkernels.amxparts import BLOCK, STEP
from fastconv.problem.conv import Problem
from fastconv.target import Target

MOST_TILES = 112  # of a block: more gain nothing, and their products leave L2
MOST_VECTORS = 8  # of a register tile
MATRIX_VECTORS = 2, 4, 8  # of a panel whose products come block by block
WEIGHT_CHANNELS = 16  # input channels that are transformed at a time


class Panels(NamedTuple):
    """The panels of a group's output channels: `larger` of base + 1 vectors, the others of base.

    Transformed, one has `size` bytes, and those of all groups `total`.
    """

    count: int
    base: int
    larger: int
    size: int
    total: int

    @property
    def widest(self) -> int:
        """Vectors of the widest."""
        return self.base + (self.larger > 0)

    @classmethod
    def of(cls, problem: Problem, member: Member, vectors: int, target: Target) -> Panels:
        """The panels of at most `vectors` vectors."""
        _, _, item = names_of(problem)
        outputs, channels = problem.k // problem.groups, problem.c // problem.groups
        count, base, larger = blocking.split(-(-outputs // target.lanes(item)), vectors)
        size = member.weights * _between_products(_u_bytes(member, channels, base + (larger > 0), target))
        return cls(count, base, larger, size, problem.groups * count * size)


def _between_products(size: int) -> int:
    return between_products.py_func(size)


def _u_bytes(member: Member, channels: int, vectors: int, target: Target) -> int:
    """Bytes of a panel's transformed weights for one product."""
    if member.matrix:
        return -(-vectors // 2) * block_bytes.py_func(channels)
    return channels * vectors * target.vector_bytes


def _v_bytes(member: Member, channels: int, tiles: int, target: Target, item: int) -> int:
    """Bytes of transformed tiles for one product."""
    if member.matrix:
        return -(-tiles // BLOCK) * block_bytes.py_func(channels)
    return -(-channels // target.lanes(item)) * tiles * target.vector_bytes


def _held_tiles(member: Member, tiles: int) -> int:
    """Tiles that there are sums for."""
    return -(-tiles // ROWS) * ROWS if member.matrix else tiles


def vectors_of(problem: Problem, target: Target) -> int:
    """Vectors of a group's output channels."""
    _, _, item = names_of(problem)
    return -(-(problem.k // problem.groups) // target.lanes(item))


class Cut(NamedTuple):
    """How one problem is cut into blocks of windows, and output channels into panels as wide as a register tile."""

    windows: tuple[int, int]
    row_blocks: int
    column_blocks: int
    class_blocks: int  # more than one only where a block has one row of windows
    row_classes: int
    column_classes: int
    rows: int  # of a register tile
    vectors: int
    channel_blocks: int
    raw_weights: bool
    u_channels: int  # input channels whose weights a task transforms together
    high: int  # rows of windows of the largest block
    wide: int  # its columns of windows
    classes: int  # its row classes
    images: int  # more than one only where a block has all windows of an image
    tiles: int

    def tasks(self, problem: Problem) -> int:
        """How many there are."""
        blocks = self.row_blocks * self.column_blocks * self.class_blocks * self.channel_blocks
        return -(-problem.n // self.images) * problem.groups * blocks

    def cycles(self, problem: Problem, member: Member, target: Target, threads: int, packed: bool) -> float:
        """What the busiest of `threads` threads has to do."""
        cycles = self._most_tasks(problem, target, threads) * winograd_task_cycles(problem, member, self, target)
        cycles += winograd_start_cycles(member)
        if packed or self.raw_weights:
            return cycles
        return cycles + winograd_weight_cycles(problem, member, target, threads)

    def _most_tasks(self, problem: Problem, target: Target, threads: int) -> float:
        """The work of the busiest of `threads` threads, in tasks of the largest blocks."""
        tasks = self.tasks(problem)
        if threads == 1 or tasks == 0:
            return tasks
        outputs = self.outputs(problem, target)
        whole = problem.n * problem.groups * math.prod(extent for extent, _ in self.parts) * sum(outputs)
        all_tasks = whole / (self.images * self.high * self.classes * self.wide * max(outputs))
        if tasks >= 8 * threads:
            return all_tasks / threads
        images = [self.images] * (problem.n // self.images) + [problem.n % self.images] * (problem.n % self.images > 0)
        blocks = (block_sizes(*part) for part in self.parts)
        return all_tasks * job.busiest(threads, images, [1] * problem.groups, *blocks, outputs)

    def outputs(self, problem: Problem, target: Target) -> list[int]:
        """Vectors of output channels of each block of panels."""
        panels, base, larger = blocking.split(vectors_of(problem, target), self.vectors)
        most, each = base + (larger > 0), -(-panels // self.channel_blocks)
        ends = [min(i, larger) * most + max(0, i - larger) * base for i in (*range(0, panels, each), panels)]
        return [stop - start for start, stop in itertools.pairwise(ends)]

    def share(self, problem: Problem, target: Target) -> float:
        """The largest block's part of a group's output channels."""
        return 1.0 if self.channel_blocks == 1 else max(self.outputs(problem, target)) / vectors_of(problem, target)

    @property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """Rows of windows, row classes and columns, and into how many blocks each are cut."""
        return (
            (self.windows[0], self.row_blocks),
            (self.row_classes, self.class_blocks),
            (self.windows[1], self.column_blocks),
        )

    @classmethod
    def of(cls, problem: Problem, member: Member, target: Target, threads: int, packed: bool) -> Cut:
        """The cut that leaves the busiest thread the fewest cycles, as the cost model counts them."""
        best = None
        for cut, panels in cls._cuts(problem, member, target, threads, packed):
            workers = 1
            if threads > 1:
                workers = min(threads, job.room(Scratch.of(problem, member, cut, panels, target).size))
            # Blocks that are enough to share need no cut of the channels.
            enough = cut.tasks(problem) >= 8 * workers
            for blocks in (1,) if enough else _splits(panels.count, workers):
                split = cut if blocks == 1 else cut._replace(channel_blocks=blocks)
                # Two tasks a thread even out; 512 channels on 14x14, packed, batch 8, two threads: 1.2 times as fast.
                if cut.images > 1 and split.tasks(problem) < workers * (2 if packed else 1):
                    continue
                cycles = split.cycles(problem, member, target, workers, packed)
                if best is None or cycles < best[0]:
                    best = cycles, split
        return best[1]

    @classmethod
    def _cuts(
        cls, problem: Problem, member: Member, target: Target, threads: int, packed: bool
    ) -> Iterator[tuple[Cut, Panels]]:
        """All blocks that are worth trying, with weights transformed beforehand or not."""
        (dh, dw), (down, across) = problem.dilation, member.windows(problem)
        row_classes, column_classes = min(dh, problem.oh), min(dw, problem.ow)
        k_vectors, share = vectors_of(problem, target), job.share(threads)
        most = _most_tiles(problem, member, target, share)
        most = max(1, most // column_classes)
        fewest = -(-across // most)
        # Few rows of windows may leave threads without a task: columns are cut as well.
        needed = min(across, -(-threads // max(1, problem.n * problem.groups * down * row_classes)))
        for column_blocks in sorted({fewest, max(fewest, needed)}):
            wide = -(-across // column_blocks)
            tried = None
            for lines in range(1, max(1, min(most // wide, down * row_classes)) + 1):
                # Some classes of one row of windows, or whole rows of them.
                if lines < row_classes:
                    row_blocks, class_blocks = down, -(-row_classes // lines)
                elif lines % row_classes == 0:
                    row_blocks, class_blocks = -(-down // (lines // row_classes)), 1
                else:
                    continue
                if tried == (row_blocks, class_blocks):
                    continue  # no fewer blocks than with one line less
                tried = row_blocks, class_blocks
                high, classes = -(-down // row_blocks), -(-row_classes // class_blocks)
                each = high * wide * classes * column_classes
                # Weights that are new would be transformed again for each image: batches of 7x7 images are 1.2 to 1.5
                # times as fast. Packed ones are read again: on Zen 3, with half a MiB of L2, 256 to 512 channels on
                # 14x14 are 1.2 to 1.4 times as fast; on a Xeon with 2 MiB, 256 channels lost 10 %.
                shared = row_blocks == column_blocks == class_blocks == 1 and (not packed or target.l2 < 1 << 20)
                for images in _images(problem.n, most * column_classes // each if shared else 1):
                    tiles = images * each
                    tasks = -(-problem.n // images) * problem.groups * row_blocks * column_blocks * class_blocks
                    threads_a_task = threads // math.gcd(threads, tasks) if tasks < 8 * threads else 1
                    for rows, vectors in _sizes(member, tiles, k_vectors, threads_a_task, target):
                        panels = Panels.of(problem, member, vectors, target)
                        together = 0 if packed else _together(problem, member, panels.widest, target, share)
                        cut = cls((down, across), row_blocks, column_blocks, class_blocks, row_classes, column_classes,
                                  rows, vectors, 1, False, together, high, wide, classes, images, tiles)  # fmt: skip
                        if not packed:
                            yield cut._replace(raw_weights=True), panels
                        if packed or panels.total <= workspace.MOST_WEIGHT_BYTES:
                            yield cut, panels


def _sizes(member: Member, tiles: int, k_vectors: int, threads: int, target: Target) -> list[tuple[int, int]]:
    """(rows, vectors) of what forms products that are worth trying, if so many threads share a block's panels."""
    if member.matrix:
        return [(BLOCK, vectors) for vectors in sorted({min(k_vectors, most) for most in MATRIX_VECTORS})]
    found = [blocking.choose_tile(tiles, k_vectors, target)[:2]]
    if -(-k_vectors // found[0][1]) % threads:
        heights = {widest: rows for rows, widest in blocking.tile_shapes(target)}
        found += [(rows, vectors) for vectors, rows in heights.items() if -(-k_vectors // vectors) % threads == 0]
    return found


def _images(n: int, most: int) -> list[int]:
    """Numbers of images, at most `most`, that a block may have."""
    found, images = {1}, min(n, most)
    while images > 1:
        found.add(-(-n // -(-n // images)))
        images //= 2
    return sorted(found)


def _most_tiles(problem: Problem, member: Member, target: Target, share: int) -> int:
    """The most tiles of a block whose scratch is within `share`, or 1."""
    _, _, item = names_of(problem)
    pixel, channels = target.vector_bytes, problem.c // problem.groups
    widest = min(MOST_VECTORS, -(-problem.k // problem.groups // target.lanes(item)))
    block, outputs = _v_bytes(member, channels, BLOCK, target, item), member.mh * member.mw
    each = (block // BLOCK + (widest + 2) * pixel) * member.products + outputs * (pixel + output.LINES * item)
    fixed = 4096 + member.products * 256
    if member.matrix:  # whole blocks of tiles, and sums of whole tiles
        fixed += member.products * (block + ROWS * widest * pixel + LOW_XI)
    together = _together(problem, member, widest, target, share)
    fixed += member.weights * _u_bytes(member, together, widest, target)
    fixed += widest * pixel * stored_taps(problem) * weight_channels(problem, member)
    return max(1, min(MOST_TILES, (share - fixed) // each))


def _together(problem: Problem, member: Member, vectors: int, target: Target, share: int) -> int:
    """Input channels whose weights for a panel are transformed together: whole chunks, that stay in L2."""
    channels = problem.c // problem.groups
    chunk = STEP if member.matrix else blocking.chunk_winograd(channels)
    size = member.weights * _u_bytes(member, chunk, vectors, target)
    return min(channels, max(1, min(target.l2 // 4, share // 3) // size) * chunk)


def _splits(panels: int, most: int) -> list[int]:
    """Numbers of blocks, at most `most`, that leave each block fewer panels than the one before."""
    return sorted({-(-panels // -(-panels // blocks)) for blocks in range(1, min(most, panels) + 1)})


def fits(problem: Problem, member: Member, target: Target) -> bool:
    """Whether a block of one window, of one row class, has room."""
    _, _, item = names_of(problem)
    tile = member.products * (max(problem.c // problem.groups, target.lanes(item)) * item + MOST_VECTORS * 64)
    if tile * min(problem.dilation[1], problem.ow) <= job.share(1) // 8:
        return True  # nearly always, and quick to see
    cut, panels = next(Cut._cuts(problem, member, target, 1 << 30, False))
    return Scratch.of(problem, member, cut, panels, target).size <= job.share(1)


def weight_channels(problem: Problem, member: Member) -> int:
    """Input channels whose weights are transformed at a time."""
    return STEP if member.matrix else min(problem.c // problem.groups, WEIGHT_CHANNELS)


class Scratch(NamedTuple):
    """Where a task's parts lie in its scratch, one after the other: strip, low, v, z, stage, lines, taps, u."""

    low_at: int
    v_at: int
    v_xi: int
    z_at: int
    stage_at: int
    lines_at: int
    taps_at: int
    u_at: int
    size: int

    @classmethod
    def of(cls, problem: Problem, member: Member, cut: Cut, panels: Panels, target: Target) -> Scratch:
        """The scratch of the largest block's tasks."""
        _, _, item = names_of(problem)
        pixel, dw, channels = target.vector_bytes, problem.dilation[1], problem.c // problem.groups
        widest = panels.widest
        strip = math.prod(member.strip(problem, cut)) * pixel
        v_xi = _between_products(_v_bytes(member, channels, cut.tiles, target, item))
        z_xi = _between_products(_held_tiles(member, cut.tiles) * widest * pixel)
        stage = member.mh * cut.classes * min(cut.wide * member.mw * dw, problem.ow)
        low_at = v_at = t_.STRIP + strip
        if member.matrix:
            low_at += strip
            v_at = low_at + member.products * LOW_XI
        z_at = v_at + v_xi * member.products
        stage_at = z_at + z_xi * member.products
        lines_at = stage_at + stage * pixel
        taps_at = lines_at + -(-output.LINES * stage * item // 64) * 64
        u_at = size = taps_at
        if cut.raw_weights:
            u_at += widest * pixel * stored_taps(problem) * weight_channels(problem, member)
            size = u_at + member.weights * _between_products(_u_bytes(member, cut.u_channels, widest, target))
        return cls(low_at, v_at, v_xi, z_at, stage_at, lines_at, taps_at, u_at, size)


def stored_taps(problem: Problem) -> int:
    """Taps of a pair of channels as weights lie."""
    return problem.borrowed.r * problem.borrowed.s if problem.borrowed else problem.r * problem.s
