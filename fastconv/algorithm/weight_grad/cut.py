"""How a weight gradient is cut: chunks of pixels, segments of chunks, blocks and tiles of dw. Pure Python.

It is a product of two matrices, summed over the pixels of dy. One operand is packed into lanes, the scalars of the
other are broadcast. What fixes the order of sums (chunks, segments) depends on nothing but the problem; blocks do not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastconv import blocking, cost, job, workspace
from fastconv.algorithm.common import Steps, names_of
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


@dataclass(frozen=True)
class Form:
    """What the lanes hold, channels of x or of dy, and what a tile's rows are: the other's channels, or a row of taps.

    Taps of a row are rows of a tile where the input has few channels.
    """

    inputs_are_lanes: bool
    taps_are_rows: bool


@dataclass(frozen=True)
class Axis:
    """Input lines of a strip along one axis, in parts that are packed one by one."""

    parts: int
    lines: int  # of a part
    step: int  # input lines from one line to the next
    part_step: int  # and from one part to the next
    output: int  # lines from one output to the next
    tap: int  # from one tap to the next

    @property
    def total(self) -> int:
        """Lines of all parts."""
        return self.parts * self.lines


def axis_of(outputs: int, taps: int, stride: int, dilation: int, *, steps: bool) -> Axis:
    """All lines between the first tap and the last, or each tap's own where that is less; `steps`: lines may be left
    out between those of a part."""
    together = (outputs - 1) * stride + (taps - 1) * dilation + 1
    each, step = (outputs, stride) if steps else ((outputs - 1) * stride + 1, 1)
    if taps * each < together:
        return Axis(taps, each, step, dilation, stride // step, each)
    return Axis(1, together, 1, 0, stride, dilation)


def flattened(problem: Problem, x: Steps) -> tuple[Problem, Steps]:
    """The same problem with its pixels in one row, and all images in one where that is so, if a kernel of one tap
    allows it."""
    if (problem.r, problem.s, problem.stride) != (1, 1, (1, 1)) or not problem.padding_zero or problem.n == 0:
        return problem, x
    if problem.h > 1:
        if x.h != problem.w * x.w:
            return problem, x
        problem, x = replace(problem, h=1, w=problem.h * problem.w), replace(x, h=problem.h * problem.w * x.w)
    if problem.n > 1 and problem.layout == "channels_last" and x.n == problem.w * x.w:
        problem, x = replace(problem, n=1, w=problem.n * problem.w), replace(x, n=problem.n * x.n)
    return problem, x


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
    def strip(self) -> int:
        """Bytes of one image's strip in the lanes of one tile."""
        down, across = self.axes
        return down.total * across.total * self.tile_bytes

    @property
    def in_place(self) -> bool:
        """Whether scalars are read where they lie."""
        problem = self.problem
        if problem.itemsize != self.item or not (self.form.inputs_are_lanes or problem.padding_zero):
            return False
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
        """Channels whose scalars a block reads."""
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
    def scratch(self) -> int:
        """Bytes that a task needs: [number of a worker's first task][sums][strips of both][stage]."""
        sums = self.sums if self.segments == 1 else 0
        return 64 + sums + self.images * (self.strip + self.row_strip) + self.row_table + self.stage

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
        rows, vectors, _ = blocking.choose_tile(cut.row_extent, cut.vectors, target, OFFSETS)
        return replace(cut, row_most=rows, vector_most=vectors)._chunked()._segmented()._blocked(threads)

    def _chunked(self) -> Cut:
        """Near-equal chunks of so many pixels: some images, some rows of one, or a piece of a row."""
        pixels = PIXELS if self.inputs * self.outputs >= DW else PIXELS_SMALL
        n, oh, ow = max(1, self.problem.n), self.problem.oh, self.problem.ow
        columns = -(-ow // max(1, round(ow / pixels)))
        rows = -(-oh // max(1, round(oh * columns / pixels))) if columns == ow else 1
        images = -(-n // max(1, min(n, round(n * oh * ow / pixels)))) if (rows, columns) == (oh, ow) else 1
        cut = replace(self, images=images, rows=rows, columns=columns)
        for field in ("images", "rows", "columns"):
            while cut.images * cut.strip > MOST_STRIP and getattr(cut, field) > 1:
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
        return min(cuts, key=lambda cut: -(-cut.tasks // threads) * cost.weight_grad_task_cycles(cut))


STAGE_LINES = 256


def _parts(extent: int) -> list[int]:
    """The block sizes that cut `extent` into near-equal parts, largest first."""
    return sorted({-(-extent // parts) for parts in range(1, extent + 1)}, reverse=True)
