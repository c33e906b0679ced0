"""How a dense convolution is cut: tasks, blocks of pixels, tiles, and the scratch that they take. Pure Python."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

from fastconv import blocking, cost, job
from fastconv.algorithm import output
from fastconv.algorithm.common import Steps, names_of
from fastconv.algorithm.nest import block_start
from fastconv.blocking import Chunk
from fastconv.microkernels.amxparts import PARTS, STEP
from fastconv.problem.conv import Problem
from fastconv.target import Target

READ_AGAIN = 0.06  # cycles of a byte of x that another thread has read, too: 16 outputs of 96 channels on 54x54
SHARED_LINE = 150  # cycles of a line of y that another thread writes, too: 384 outputs of 64 channels on 14x14
MATRIX_PRODUCTS = 96  # multiply-adds a cycle on matrix tiles
RAGGED = 1.15  # shares of blocks of matrix tiles' pixels that rows of pixels by themselves may take


@dataclass(frozen=True)
class Shape:
    """The choices of one dense plan: what lies in a register's lanes, whether x and w are read in place, the tile."""

    lanes: str  # "pixels" or "channels"
    in_place: bool
    raw_weights: bool
    rows: int
    vectors: int
    products: int = 0  # of bfloat16 parts, on matrix tiles; 0: multiply-adds of vectors
    panels: bool = False  # the pixels of some tiles are packed side by side just before their use
    apart: bool = False  # each column of taps has strips of its own, see `blocking.ragged`

    @property
    def repacks(self) -> bool:
        """Whether each block of pixels packs the weights that it uses."""
        return self.raw_weights and self.lanes == "channels"

    def channel_tiles(self, lanes: int) -> tuple[int, int]:
        """Units of output channels that are not divided, and how many of them a tile has at most."""
        if self.lanes == "channels" or self.products:
            return lanes, self.vectors
        return 1, self.rows


@dataclass(frozen=True)
class Part:
    """A rectangle of output pixels: rows top..bottom, columns left..right."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def pixels(self) -> int:
        """How many pixels it has."""
        return max(0, self.bottom - self.top) * max(0, self.right - self.left)


def whole(problem: Problem) -> Part:
    """All output pixels."""
    return Part(0, problem.oh, 0, problem.ow)


@dataclass(frozen=True)
class Cut:
    """How one dense problem is cut into tasks, runs and tiles."""

    problem: Problem
    shape: Shape
    target: Target
    item: int
    lanes: int
    outputs: int  # channels of a group
    channels: int
    chunk: Chunk
    tiles: int  # channel tiles of a group
    tiles_a_block: int
    runs: int  # rows of output pixels, as runs see them
    run: int  # pixels of a row
    row_blocks: int
    column_blocks: int
    flat: bool  # the whole plane is one run
    stages: bool
    transposes: bool
    near: bool  # what a worker reads and writes stays in its L2
    channels_outer: bool  # threads have channels of all pixels: no two of them write to one line

    @property
    def block_runs(self) -> int:
        """Rows of the largest block."""
        return -(-self.runs // self.row_blocks)

    @property
    def run_unit(self) -> int:
        """Pixels of a run that blocks do not divide: whole vectors, where these are of pixels."""
        return self.lanes if self.shape.lanes == "pixels" else 1

    @property
    def run_units(self) -> int:
        """How many of them a run has, the last of which need not be whole."""
        return -(-self.run // self.run_unit)

    @property
    def block_run(self) -> int:
        """Columns of the largest block."""
        return min(self.run, -(-self.run_units // self.column_blocks) * self.run_unit)

    @property
    def column_sizes(self) -> set[int]:
        """How many columns the blocks have."""
        smaller, larger = divmod(self.run_units, self.column_blocks)
        last = smaller * self.run_unit - (self.run_units * self.run_unit - self.run)
        several = self.column_blocks - larger > 1  # smaller ones, the last of which may lack some lanes
        return {self.block_run, last} | ({smaller * self.run_unit} if several else set())

    @property
    def joined(self) -> bool:
        """Whether the runs of a block are one for its tiles."""
        whole = self.run == self.problem.ow and self.column_blocks == 1
        return whole and (blocking.joined(self.problem, self.shape.in_place) or self.apart)

    @property
    def apart(self) -> bool:
        """Whether every column of taps has strips of its own, so that tiles go on over rows' ends."""
        asked = self.shape.apart
        if self.shape.products and self.shape.lanes == "pixels" and not self.shape.in_place:
            asked = -(-self.run // self.shape.rows) * self.shape.rows > RAGGED * self.run
        return asked and self.block_runs > 1 and self.column_blocks == 1 and self.run == self.problem.ow

    @property
    def tiled(self) -> set[int]:
        """How many pixels tiles go over at a time, in the larger, in the smaller and in the last blocks."""
        if self.joined:
            return {self.run * self.block_runs, self.run * (self.runs // self.row_blocks)}
        return self.column_sizes

    @property
    def tasks(self) -> int:
        """How many there are."""
        return self.blocks * self.channel_blocks

    @property
    def blocks(self) -> int:
        """Of pixels, of all images and groups."""
        return self.problem.n * self.problem.groups * self.row_blocks * self.column_blocks

    @property
    def channel_blocks(self) -> int:
        """Of a group's output channels."""
        return -(-self.tiles // self.tiles_a_block)

    @property
    def chunks(self) -> int:
        """Parts of the reduction."""
        return self.chunk.count(self.channels, self.problem.r, self.problem.s)

    @property
    def columns(self) -> blocking.Columns:
        """Input columns of a block's strips."""
        stride, dilation = self.problem.stride[1], self.problem.dilation[1]
        last = self.problem.layout == "channels_last"
        return blocking.columns_of(
            self.block_run, self.chunk.columns, stride, dilation, contiguous=last, apart=self.apart
        )

    @property
    def line(self) -> int:
        """Bytes from one pixel of a strip to the next."""
        if self.problem.layout == "channels_first":
            return self.item
        line = self.chunk.channels * self.item
        if self.shape.products:
            return line  # matrix tiles read each pixel's channels once
        return line + 64 if line % 1024 == 0 else line  # keeps a tile's pixels out of one another's cache sets

    @property
    def piece(self) -> int:
        """Taps whose channels lie side by side in a strip: a row of them or one, the same in every chunk."""
        near = self.problem.dilation[1] == 1 and not self.shape.in_place and len(self.columns.firsts) == 1
        return self.chunk.columns if near and self.chunks == 1 else 1

    @property
    def strip(self) -> int:
        """Bytes of one chunk's strips. One vector past them may be read (never used) by a tile's last load."""
        problem, columns = self.problem, self.columns
        rows = blocking.count_lines(self.block_runs, self.chunk.rows, problem.stride[0], problem.dilation[0])
        planes = self.chunk.channels if problem.layout == "channels_first" else 1
        return _round(planes * rows * len(columns.firsts) * columns.width * self.line + self.target.vector_bytes)

    @property
    def strips_at(self) -> int:
        """Where the strips start, after the number of their block and a table of their rows."""
        problem = self.problem
        rows = blocking.count_lines(self.block_runs, self.chunk.rows, problem.stride[0], problem.dilation[0])
        return 64 + _round(8 * rows)

    @property
    def strips_kept(self) -> int:
        """How many chunks' strips are kept: all, if blocks of channels use them in turn and they stay in L2, or one."""
        in_turn = self.channel_blocks > 1 and not (self.channels_outer and self.blocks > 1)
        all_stay = in_turn and self.chunks * self.strip <= self.target.l2 * 5 // 8
        return self.chunks if all_stay else 1

    @property
    def strip_bytes(self) -> int:
        """Scratch for strips and what lies before them."""
        return 64 if self.shape.in_place else self.strips_at + self.strips_kept * self.strip

    @property
    def stage_pitch(self) -> int:
        """Bytes from one pixel (lanes are channels) or channel (lanes are pixels) of the stage to the next."""
        if self.shape.lanes == "pixels":
            # An odd number of lines: a tile's rows do not fall into one set of L1.
            return _round(self.block_runs * self.block_run * self.item) | 64
        return _round(self._most_outputs * self.item)

    @property
    def stage_bytes(self) -> int:
        """Scratch for sums that are not yet what y holds."""
        if not self.stages:
            return 0
        along_pixels = self.shape.lanes == "pixels"
        return _round(self.stage_pitch * (self._most_outputs if along_pixels else self.block_runs * self.block_run))

    @property
    def _most_outputs(self) -> int:
        """The most output channels that one task's tiles cover."""
        along_pixels = self.shape.lanes == "pixels"
        unit, most = self.shape.channel_tiles(self.lanes)
        _parts, base, larger = blocking.split(-(-self.outputs // unit), most)
        covered = self.tiles_a_block * (base + (larger > 0)) * unit
        return min(self.outputs, covered) if along_pixels else covered

    @property
    def line_bytes(self) -> int:
        """Scratch for transposed lines."""
        return _round(output.LINES * max(self.tiled) * self.item) if self.transposes else 0

    @property
    def panels(self) -> bool:
        """Whether the pixels of some tiles are packed just before their use."""
        return bool(self.shape.products) or self.shape.panels

    @property
    def fetched_by_planes(self) -> bool:
        """Whether panels are fetched plane by plane, in runs: with several taps panels share their lines."""
        point = self.shape.in_place and (self.problem.r, self.problem.s) == (1, 1)
        return self.panels and point and not self.shape.products

    @property
    def block_tiles(self) -> int:
        """How many tiles' pixels: each plane of y gets a longer run, and if it is fetched by planes, each plane of x.

        Then they may fill an eighth of L2, as the next ones come while these are used: 256 to 64 channels on 56x56,
        batch 8, 1.16 times as fast as with what L1 holds. What is near need not be fetched: half of L1 makes 64 to 128
        channels on 56x56, one image, 1.1 times as fast as an eighth of L2, 96 to 24 1.3 times. Else L1.

        Panels of parts may fill an eighth of L2, too; half of it where weights do not stay there and come anew for each
        block: 1024 to 512 channels on 14x14, batch 8, 1.17 times as fast.
        """
        if not self.panels:
            return 1
        most = -(-max(self.tiled) // (self.lanes * self.shape.vectors))
        room = self.target.l1
        if self.shape.products:
            far = self.outputs * self._panel // self.shape.rows > self.target.l2 // 2
            room, most = self.target.l2 // (2 if far else 8), -(-self.block_run * self.block_runs // self.shape.rows)
        elif self.fetched_by_planes:
            room = self.target.l1 // 2 if self.near else self.target.l2 // 8
        return max(1, min(most, room // self._panel))

    @property
    def _panel(self) -> int:
        """Bytes of one panel, of pixels or weights."""
        if self.shape.products:
            return self.shape.rows * -(-self.chunk.products // STEP) * STEP * 2 * PARTS[self.shape.products]
        return self.shape.vectors * self.lanes * self.chunk.products * self.item

    @property
    def panel_bytes(self) -> int:
        """Scratch for the panels of pixels, or for one of weights, that are packed just before their use."""
        if self.panels:
            return self._panel * self.block_tiles
        return self._panel if self.shape.raw_weights and self.shape.lanes == "channels" else 0

    @property
    def scratch(self) -> int:
        """Bytes that a task needs: strips, stage, lines, panels, one after the other."""
        return self.strip_bytes + self.stage_bytes + self.line_bytes + self.panel_bytes

    @classmethod
    def of(cls, problem: Problem, x: Steps, shape: Shape, target: Target, threads: int, part: Part) -> Cut:
        """Blocks that keep strips and sums in L2, as many as the threads need, and small enough for all of them."""
        stored, computing, item = names_of(problem)
        lanes = target.lanes(item)
        outputs, channels = problem.k // problem.groups, problem.c // problem.groups
        chunk = blocking.chunk_of(channels, problem.r, problem.s) if shape.products else blocking.dense_chunk(problem)
        along_pixels = shape.lanes == "pixels"
        smallest, most = shape.channel_tiles(lanes)
        tiles = blocking.split(-(-outputs // smallest), most)[0]
        point = (problem.r, problem.s) == (1, 1) and problem.stride == (1, 1) and problem.padding_zero
        flat = point and x.h == problem.w * x.w
        runs, run = (1, part.pixels) if flat else (part.bottom - part.top, part.right - part.left)
        transposes = not along_pixels and problem.layout == "channels_first"
        stages = transposes or stored != computing
        panels = shape.in_place and (shape.panels or shape.products)
        beside = min(problem.stride[1], chunk.columns) if problem.layout == "channels_first" else problem.stride[1]
        if (shape.products or shape.apart) and runs > 1:
            beside = chunk.columns
        per_pixel = 0 if panels else chunk.channels * beside * min(problem.stride[0], chunk.rows) * item
        unit = shape.vectors * lanes if along_pixels else shape.rows
        # Each block of pixels packs the panels it uses anew: better few blocks that fill L2 than many that fit well.
        room = target.l2 * 3 // 4 if shape.repacks else target.l2 // 3
        near = problem.bytes <= target.l2 * threads
        summed = transposes or chunk.count(channels, problem.r, problem.s) > 1

        def fit(parts: int) -> int:
            """Blocks of pixels whose strips and sums stay in L2, if a task has one of `parts` parts of the channels."""
            sums = outputs * item // parts if summed else 0
            # Blocks of few tiles read the weights too often to keep their sums near: 256 to 512 channels 2x2 of stride
            # 2 on 104x104 are 1.2 to 1.6 times as fast without (Zen 3).
            if not transposes and room < 2 * unit * (per_pixel + sums):
                sums = 0
            staged = runs * run * outputs * item // parts if stages else 0
            return max(-(-max(1, runs * run * (per_pixel + sums)) // room), -(-staged // (target.l2 // 2)))

        def made(blocks: int, parts: int) -> Cut:
            """Blocks of rows, and of columns where there are fewer rows; parts of the channels."""
            rows = min(runs, blocks)
            columns = min(-(-run // unit), -(-blocks // rows)) if blocks > runs else 1
            return cls(problem, shape, target, item, lanes, outputs, channels, chunk, tiles, -(-tiles // parts),
                       runs, run, rows, columns, flat, stages, transposes, near, parts > 1)  # fmt: skip

        blocks, planes = fit(1), problem.n * problem.groups
        cut = made(blocks, 1)
        if threads > 1 and problem.flops > 1e6 and planes * blocks < 4 * threads:
            parts = min(tiles, threads // math.gcd(planes, threads))
            by_pixels = made(blocks * threads // math.gcd(planes * blocks, threads), 1)
            by_channels = made(max(fit(parts), -(-threads // (planes * parts))), parts)
            cut = min(by_pixels, by_channels, key=lambda cut: cut._cycles(threads))
        return cut._within(job.share(threads), -(-run // unit))

    def busiest(self, threads: int) -> float:
        """The part of the work that the busiest of `threads` threads has."""
        each, planes = self.tiles_a_block, [1] * (self.problem.n * self.problem.groups)
        channels = [min(each, self.tiles - tile) for tile in range(0, self.tiles, each)]
        pixels = block_sizes(self.runs, self.row_blocks), block_sizes(self.run_units, self.column_blocks)
        axes = (channels, planes, *pixels) if self.channels_outer else (planes, *pixels, channels)
        return job.busiest(threads, *axes)

    def _cycles(self, threads: int) -> float:
        """Those of the busiest thread: products, weights and x that it reads, lines that others write, too."""
        problem, parts = self.problem, self.channel_blocks
        steps = problem.flops * self.runs * self.run / (problem.oh * problem.ow)
        steps /= MATRIX_PRODUCTS if self.shape.products else self.lanes * self.target.multiply_adds
        weights = problem.k * self.channels * problem.r * problem.s
        weights *= cost.C.pack_panel if self.shape.repacks else self.item * cost.C.weight_byte
        inputs = problem.n * problem.c * problem.h * problem.w * self.item
        read = weights * self.row_blocks * self.column_blocks * problem.n + inputs * READ_AGAIN * parts
        # Planes whose pixels two threads have, or pixels whose channels they have, lie in lines of both.
        if problem.layout == "channels_first":
            shared = self.outputs * (problem.n * problem.groups * parts % threads > 0)
        else:
            shared = self.runs * self.run * (parts > 1)
        return steps * self.busiest(threads) + read / threads + shared * SHARED_LINE

    def _within(self, limit: int, most_columns: int) -> Cut:
        """With scratch of at most `limit`: fewer rows a block, then columns, then channels, as long as each helps."""
        cut = self
        for field, most in (("row_blocks", self.runs), ("column_blocks", most_columns), ("tiles_a_block", 1)):
            while cut.scratch > limit:
                now = getattr(cut, field)
                less = -(-now // 2) if field == "tiles_a_block" else min(2 * now, most)
                smaller = replace(cut, **{field: less})
                if smaller.scratch > 0.9 * cut.scratch:
                    break
                cut = smaller
        return cut


def block_sizes(extent: int, blocks: int) -> list[int]:
    """The sizes of at most so many blocks, in turn as `block_start` has them."""
    blocks = min(blocks, extent)
    starts = [block_start.py_func(index, blocks, extent) for index in range(blocks + 1)]
    return [stop - start for start, stop in itertools.pairwise(starts)]


def _round(size: int) -> int:
    return -(-int(size) // 64) * 64
