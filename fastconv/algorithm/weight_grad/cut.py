"""How a weight gradient is cut: chunks of pixels, segments of chunks, blocks and tiles of dw. Pure Python.

It is a product of two matrices, summed over the pixels of dy. One operand is packed into lanes, the scalars of the
other are broadcast. What fixes the order of sums (chunks, segments) depends on nothing but the problem; blocks do not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastconv import blocking, cost, job, workspace
from fastconv.algorithm.common import Steps, names_of
from fastconv.algorithm.matrix import BLOCK, TILE
from fastconv.algorithm.matrix_plan import PRODUCTS
from fastconv.algorithm.weight_grad.axes import Axis, axis_of, flattened
from fastconv.microkernels.amxparts import PART_BYTES, PARTS, STEP
from fastconv.problem.conv import Problem
from fastconv.target import Target

# Pixels of a chunk, at about. 14 rows, two vectors and the table of 256 are 52 KiB, a little more than L1: with 160 1x1
# layers of 256 channels are 1.04 times as fast. Where a group's dw has fewer elements than DW, calls cost more.
PIXELS, PIXELS_SMALL, DW = 160, 256, 4096
OFFSETS = cost.GRADIENT_OFFSETS
MOST_TAPS = 256  # of a block of taps
MOST_STRIP = 256 << 10  # bytes that the lanes of one tile may take
# Segments: so many tasks are wanted, of at least so many pixels, with sums of so many bytes in all.
TASKS, SEGMENT_PIXELS, MOST_SUMS = 64, 1536, workspace.MOST_WEIGHT_BYTES
SET_BYTES = 4096  # rows of scalars that are multiples of this apart push one another out of L1
# On matrix tiles: as a chunk's sums of a block pass through memory, and its steps are 32 pixels, they are longer.
PANEL_PIXELS, MOST_PANEL_STRIP = 576, 512 << 10


@dataclass(frozen=True)
class Form:
    """What the lanes hold, channels of x or of dy, and what a tile's rows are: the other's channels, or a row of taps.

    Taps of a row are rows of a tile where the input has few channels.
    """

    inputs_are_lanes: bool
    taps_are_rows: bool
    panels: bool = False  # of bfloat16 parts, for matrix tiles


@dataclass(frozen=True)
class Cut:
    """One weight gradient in tasks: segment of chunks x group x block of taps x block of lanes x block of rows."""

    problem: Problem
    x: Steps
    form: Form
    target: Target
    item: int
    lanes: int
    images: int  # of a chunk
    rows: int
    columns: int
    tap_rows: int  # of a block of taps
    tap_columns: int
    row_most: int  # the tile
    vector_most: int
    segments: int = 1
    lane_tiles_a_block: int = 1
    row_tiles_a_block: int = 1

    @property
    def inputs(self) -> int:
        """Input channels of a group."""
        return self.problem.c // self.problem.groups

    @property
    def outputs(self) -> int:
        """Output channels of a group."""
        return self.problem.k // self.problem.groups

    @property
    def lane_channels(self) -> int:
        """Channels in the lanes."""
        return self.inputs if self.form.inputs_are_lanes else self.outputs

    @property
    def vectors(self) -> int:
        """Vectors of them."""
        return -(-self.lane_channels // self.lanes)

    @property
    def row_extent(self) -> int:
        """Rows of all tiles."""
        if self.form.taps_are_rows:
            return self.tap_columns
        return self.outputs if self.form.inputs_are_lanes else self.inputs

    @property
    def lane_tiles(self) -> int:
        """Tiles across the lanes."""
        return blocking.split(self.vectors, self.vector_most)[0]

    @property
    def row_tiles(self) -> int:
        """Tiles down the rows."""
        return blocking.split(self.row_extent, self.row_most)[0]

    @property
    def lane_blocks(self) -> int:
        """Blocks of tiles across the lanes."""
        return -(-self.lane_tiles // self.lane_tiles_a_block)

    @property
    def row_blocks(self) -> int:
        """Blocks of tiles down the rows."""
        return -(-self.row_tiles // self.row_tiles_a_block)

    @property
    def tile_bytes(self) -> int:
        """One row of the widest tile."""
        return -(-self.vectors // self.lane_tiles) * self.target.vector_bytes

    @property
    def block_rows(self) -> int:
        """Rows of the largest block."""
        return min(self.row_extent, -(-self.row_extent // self.row_tiles) * self.row_tiles_a_block)

    @property
    def taps(self) -> int:
        """Taps of the largest block."""
        return self.tap_rows * self.tap_columns

    @property
    def units(self) -> int:
        """Sums that each row and vector of a block has."""
        return self.inputs * self.tap_rows if self.form.taps_are_rows else self.taps

    @property
    def lines(self) -> int:
        """Lines of sums of a block: [line][tap][lane], where lines are the channels that are not lanes."""
        return self.inputs if self.form.taps_are_rows else self.block_rows

    @property
    def sums(self) -> int:
        """Bytes of a block's sums."""
        return self.lane_tiles_a_block * self.lines * self.taps * self.tile_bytes

    @property
    def direct(self) -> bool:
        """Whether sums are formed in dw: by matrix tiles, for kernels of one tap."""
        alone = self.problem.r * self.problem.s == self.segments == 1
        return self.form.panels and alone and self.problem.itemsize == self.item

    @property
    def own_sums(self) -> int:
        """Bytes of sums that a task keeps to itself."""
        return 0 if self.direct or self.segments > 1 else self.sums

    @property
    def tap_blocks(self) -> tuple[int, int]:
        """Blocks of taps along both axes."""
        return -(-self.problem.r // self.tap_rows), -(-self.problem.s // self.tap_columns)

    @property
    def blocks(self) -> int:
        """Blocks of dw."""
        down, across = self.tap_blocks
        return self.problem.groups * down * across * self.lane_blocks * self.row_blocks

    @property
    def tasks(self) -> int:
        """How many there are."""
        return self.segments * self.blocks

    @property
    def pixel_chunks(self) -> tuple[int, int, int]:
        """Chunks along images, rows and columns."""
        problem = self.problem
        return tuple(
            -(-extent // most)
            for extent, most in ((problem.n, self.images), (problem.oh, self.rows), (problem.ow, self.columns))
        )

    @property
    def chunks(self) -> int:
        """Chunks of all pixels."""
        images, rows, columns = self.pixel_chunks
        return images * rows * columns

    @property
    def depth(self) -> int:
        """Pixels of the largest chunk."""
        return self.images * self.rows * self.columns

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """Lines and columns of one image's strip in the lanes."""
        if not self.form.inputs_are_lanes:  # dy as it is, its pixels in one row
            return Axis(1, 1, 1, 0, 0, 0), Axis(1, self.rows * self.columns, 1, 0, 1, 0)
        (sh, sw), (dh, dw) = self.problem.stride, self.problem.dilation
        return (
            axis_of(self.rows, self.tap_rows, sh, dh, steps=True),
            axis_of(self.columns, self.tap_columns, sw, dw, steps=False),
        )

    @property
    def lanes_in_place(self) -> bool:
        """Whether panels are made of x as it lies: of pixels whose channels are side by side, or of whole planes."""
        as_it_lies = self.form.panels and self.problem.itemsize == self.item and self.problem.padding_zero
        return as_it_lies and (self.x.c == self.item or self._flat)

    @property
    def planes(self) -> bool:
        """Whether they are made of planes."""
        return self.lanes_in_place and self.x.c != self.item

    @property
    def _flat(self) -> bool:
        """Whether a channel's pixels are side by side, for kernels of one tap, and pieces of them a vector long."""
        problem = self.problem
        flat = problem.h == problem.r == problem.s == problem.stride[1] == 1 and self.x.w == self.item
        return flat and (self.images == 1 or self.columns >= self.lanes)

    @property
    def strip(self) -> int:
        """Bytes of one image's strip in the lanes of one tile."""
        if self.lanes_in_place:
            return 0
        down, across = self.axes
        return down.total * across.total * self.tile_bytes

    @property
    def in_place(self) -> bool:
        """Whether scalars are read where they lie."""
        problem = self.problem
        if problem.itemsize != self.item or not (self.form.inputs_are_lanes or problem.padding_zero):
            return False
        if self.form.panels:
            return problem.layout == "channels_first"
        return self.form.taps_are_rows or self.row_pitch % SET_BYTES != 0

    @property
    def row_pitch(self) -> int:
        """Bytes from one row's scalar to the next, in place."""
        problem = self.problem
        if self.form.taps_are_rows:
            return problem.dilation[1] * self.x.w
        if not self.form.inputs_are_lanes:
            return self.x.c
        return problem.itemsize * (1 if problem.layout == "channels_last" else problem.oh * problem.ow)

    @property
    def row_channels(self) -> int:
        """Channels whose scalars are packed at a time."""
        if self.form.panels:
            return min(BLOCK, self.row_extent)
        return self.inputs if self.form.taps_are_rows else self.block_rows

    @property
    def row_runs(self) -> tuple[blocking.Runs, blocking.Columns]:
        """Lines and columns of packed strips of x that scalars are read from."""
        (sh, sw), (dh, dw) = self.problem.stride, self.problem.dilation
        return (
            blocking.runs_of(self.rows, self.tap_rows, sh, dh),
            blocking.columns_of(self.columns, self.tap_columns, sw, dw, contiguous=True),
        )

    @property
    def row_strip(self) -> int:
        """Bytes of one image's packed scalars."""
        if self.in_place:
            return 0
        pixels = self.rows * self.columns
        if not self.form.inputs_are_lanes:
            runs, columns = self.row_runs
            pixels = len(runs.lines) * len(columns.firsts) * columns.width
        return -(-self.row_channels * pixels * self.item // 64) * 64

    @property
    def row_table(self) -> int:
        """Bytes for where the lines of packed strips lie."""
        return 0 if self.in_place or self.form.inputs_are_lanes else -(-8 * len(self.row_runs[0].lines) // 64) * 64

    @property
    def stage(self) -> int:
        """Bytes of sums that are transposed before they are narrowed."""
        return self.tile_bytes * STAGE_LINES if self.problem.itemsize != self.item else 0

    @property
    def products(self) -> int:
        """Products of parts on matrix tiles."""
        return PRODUCTS[self.problem.dtype]

    @property
    def panel(self) -> int:
        """Bytes of a chunk's parts of a tile's rows or lanes."""
        return -(-self.depth // STEP) * PARTS[self.products] * PART_BYTES if self.form.panels else 0

    @property
    def panel_counts(self) -> tuple[int, int]:
        """How many panels of lanes and of rows a block has."""
        return self.lane_tiles_a_block * self.taps, self.row_tiles_a_block

    @property
    def keeps_lanes(self) -> bool:
        """Which side's panels are kept for all of the other's, which are made one by one: the fewer."""
        lanes, rows = self.panel_counts
        return lanes < rows

    @property
    def panels(self) -> int:
        """Bytes of the panels of one side, and of one of the other."""
        return (min(self.panel_counts) + 1) * self.panel

    @property
    def scratch(self) -> int:
        """Bytes that a task needs: [number of a worker's first task][sums][strips of both][panels][stage]."""
        return (
            64 + self.own_sums + self.images * (self.strip + self.row_strip) + self.row_table + self.panels + self.stage
        )

    @property
    def shared(self) -> int:
        """Bytes of sums that tasks leave to be added up."""
        return self.tasks * self.sums if self.segments > 1 else 0

    @classmethod
    def of(cls, problem: Problem, x: Steps, form: Form, target: Target, threads: int) -> Cut:
        """Chunks and segments for the problem, blocks that keep all threads busy."""
        problem, x = flattened(problem, x)
        _, _, item = names_of(problem)
        lanes = target.lanes(item)
        tap_columns = blocking.split(problem.s, MOST_TAPS)
        tap_columns = -(-problem.s // tap_columns[0])
        tap_rows = max(1, MOST_TAPS // tap_columns) if tap_columns == problem.s else 1
        tap_rows = -(-problem.r // blocking.split(problem.r, tap_rows)[0])
        cut = cls(problem, x, form, target, item, lanes, 1, 1, 1, tap_rows, tap_columns, 1, 1)
        rows, vectors = BLOCK, BLOCK // TILE
        if not form.panels:
            rows, vectors, _ = blocking.choose_tile(cut.row_extent, cut.vectors, target, OFFSETS)
        return replace(cut, row_most=rows, vector_most=vectors)._chunked()._segmented()._blocked(threads)

    def _chunked(self) -> Cut:
        """Near-equal chunks of so many pixels: some images, some rows of one, or a piece of a row."""
        pixels = PIXELS if self.inputs * self.outputs >= DW else PIXELS_SMALL
        pixels, strip = (PANEL_PIXELS, MOST_PANEL_STRIP) if self.form.panels else (pixels, MOST_STRIP)
        n, oh, ow = max(1, self.problem.n), self.problem.oh, self.problem.ow
        columns = -(-ow // max(1, round(ow / pixels)))
        rows = -(-oh // max(1, round(oh * columns / pixels))) if columns == ow else 1
        images = -(-n // max(1, min(n, round(n * oh * ow / pixels)))) if (rows, columns) == (oh, ow) else 1
        cut = replace(self, images=images, rows=rows, columns=columns)
        for field in ("images", "rows", "columns"):
            while cut.images * cut.strip > strip and getattr(cut, field) > 1:
                cut = replace(cut, **{field: -(-getattr(cut, field) // 2)})
        return cut

    def _segmented(self) -> Cut:
        """Segments where dw alone makes too few tasks: as many as cost little to add up."""
        taps = self.problem.r * self.problem.s
        # Blocks of dw that cost little: scalars are read 128 lanes apart, lanes packed for 448 rows each.
        lane_blocks = min(self.lane_tiles, max(1, self.vectors * self.lanes * taps // 128))
        row_blocks = min(self.row_tiles, max(1, self.row_extent * self.units // 448))
        blocks = lane_blocks * row_blocks * self.problem.groups
        pixels = self.problem.n * self.problem.oh * self.problem.ow
        whole = replace(self, lane_tiles_a_block=self.lane_tiles, row_tiles_a_block=self.row_tiles)
        sums = self.problem.groups * whole.sums * -(-taps // self.taps)
        most = min(pixels // SEGMENT_PIXELS, self.chunks, MOST_SUMS // sums)
        return replace(self, segments=max(1, min(most, -(-TASKS // blocks))))

    def _blocked(self, threads: int) -> Cut:
        """Blocks with which the last thread is done first, of those whose memory all threads can have."""
        share = job.share(threads)
        cuts = [
            replace(self, lane_tiles_a_block=wide, row_tiles_a_block=high)
            for wide in _parts(self.lane_tiles)
            for high in (_parts(self.row_tiles) if not self.form.taps_are_rows else [self.row_tiles])
        ]
        cuts = [cut for cut in cuts if cut.scratch <= share and cut.shared <= MOST_SUMS + (MOST_SUMS >> 2)] or cuts[-1:]
        if self.form.panels:
            cuts = [cut for cut in cuts if cut.panels <= self.target.l2 * 3 // 4] or cuts[-1:]
        return min(cuts, key=lambda cut: -(-cut.tasks // threads) * cost.weight_grad_task_cycles(cut))


STAGE_LINES = 256


def _parts(extent: int) -> list[int]:
    """The block sizes that cut `extent` into near-equal parts, largest first."""
    return sorted({-(-extent // parts) for parts in range(1, extent + 1)}, reverse=True)
