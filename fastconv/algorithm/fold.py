"""Columns of a matrix added up to the image whose windows they are: every element gathers its taps, in their order.

Columns of the image whose taps lie alike are summed together: with stride s along the last axis, every s-th. Their
sums are one `overlap` each; for s > 1 they are formed in scratch, as lines of a matrix, and transposed into the row.
"""

from __future__ import annotations

import numpy as np

from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native
from fastconv.job import LINE, Job
from fastconv.microkernels.inventory import microkernel
from fastconv.microkernels.overlap import PIECE_WORDS
from fastconv.microkernels.regroup import MOVED, WOVEN
from fastconv.problem.conv import SHORT_DTYPE
from fastconv.problem.grid import Grid
from fastconv.target import Target

COLS, Y = 0, 4  # of a call's arrays
TASK_BYTES = 64 << 10  # of columns that a task reads at least, if there are so many

(EACH, ROWS, C, TAPS, COLS_N, COLS_ROW, D, H, W, KD, KH, KW, SD, SH, SW, PD, PH, DD, DH, OD, OH, OW, ITEM, PHASES,
 PIECES, LINES, PITCH, TOGETHER, OVERLAP, WEAVE, TRANSPOSE, FIELDS) = range(32)  # fmt: skip
# Words of a phase, then of a piece: a tap kw of it; its offset is that of the piece's element for the phase's first
# column.
FIRST, END, COUNT, INNER_LOW, INNER_HIGH, PHASE_WORDS = range(6)
OFFSET, LOW, HIGH = range(3)


@helper
def fold_some(plan, base, d, h, most, to, scratch):
    """Row h of slice d of a channel whose columns start at `base`, and as many of the rows a stride apart, at most
    `most`, as the same rows of the kernel reach: their number. Scratch holds these, their pieces, lines of phases."""
    kd_, kh_, sd, sh, sw, item = (
        peek(plan, KD), peek(plan, KH), peek(plan, SD), peek(plan, SH), peek(plan, SW), peek(plan, ITEM)
    )  # fmt: skip
    dd, dh, od_, oh_, w = peek(plan, DD), peek(plan, DH), peek(plan, OD), peek(plan, OH), peek(plan, W)
    table, lines, cols_row = scratch + 8 * kd_ * kh_, scratch + peek(plan, LINES), peek(plan, COLS_ROW)
    kernel_row, window_row, pitch = peek(plan, KW) * cols_row, peek(plan, OW) * item, peek(plan, PITCH)
    phases, pieces, whole, together = peek(plan, PHASES), peek(plan, PIECES), w // sw, peek(plan, TOGETHER)
    kernel_rows, some = 0, min(most, together)
    for kd in range(kd_):
        from_d = d + peek(plan, PD) - kd * dd
        od = from_d // sd
        if from_d < 0 or od >= od_ or od * sd != from_d:
            continue
        for kh in range(kh_):
            from_h = h + peek(plan, PH) - kh * dh
            oh = from_h // sh
            if oh * sh == from_h and from_h >= 0 and oh < oh_:
                poke(scratch, kernel_rows, base + (kd * kh_ + kh) * kernel_row + (od * oh_ + oh) * window_row)
                kernel_rows += 1
                some = min(some, oh_ - oh)
            elif oh * sh == from_h:  # it may reach the next
                some = 1
    for phase in range(min(sw, w)):
        about, entry = phases + phase * PHASE_WORDS * 8, table
        first, end = peek(about, FIRST), peek(about, END)
        for i in range(kernel_rows):
            for piece in range(pieces + 8 * PIECE_WORDS * first, pieces + 8 * PIECE_WORDS * end, 8 * PIECE_WORDS):
                poke(entry, OFFSET, peek(scratch, i) + peek(piece, OFFSET))
                poke(entry, LOW, peek(piece, LOW))
                poke(entry, HIGH, peek(piece, HIGH))
                entry += 8 * PIECE_WORDS
        taps = kernel_rows * (end - first)
        sums, sums_pitch = (lines + phase * together * pitch, pitch) if sw > 1 else (to, sh * w * item)
        invoke(peek(plan, OVERLAP), (table, taps, sums, peek(about, COUNT), peek(about, INNER_LOW),
                                     peek(about, INNER_HIGH), some, window_row, sums_pitch))  # fmt: skip
    apart = together * pitch
    if sw == 2:
        invoke(peek(plan, WEAVE), (lines, pitch, lines + apart, pitch, to, sh * w * item, w, some))
    elif sw > 2:
        for i in range(some):
            line, row = lines + i * pitch, to + i * sh * w * item
            invoke(peek(plan, TRANSPOSE), (line, apart, row, sw * item, sw, whole))
            for phase in range(w - whole * sw):
                invoke(peek(plan, TRANSPOSE), (line + phase * apart + whole * item, item,
                                               row + (whole * sw + phase) * item, item, 1, 1))  # fmt: skip
    return some


@helper
def fold_lines(plan, base, start, stop, to, scratch):
    """Rows start..stop of a channel, those of a slice after those of the one before it, to `to`."""
    height, sh, row = peek(plan, H), peek(plan, SH), peek(plan, W) * peek(plan, ITEM)
    while start < stop:
        d, h = start // height, start % height
        some = min(stop - start, height - h)
        for phase in range(min(sh, some)):
            done = phase
            while done < some:
                most = (some - done + sh - 1) // sh
                done += sh * fold_some(plan, base, d, h + done, most, to + done * row, scratch)
        start, to = start + some, to + some * row


@native("fold", 4)
def fold_rows(plan, call, scratch, task):
    """Some rows of images."""
    per_plane = peek(plan, D) * peek(plan, H)
    row, stop = task * peek(plan, EACH), min((task + 1) * peek(plan, EACH), peek(plan, ROWS))
    while row < stop:
        plane, line = row // per_plane, row % per_plane
        some = min(stop - row, per_plane - line)
        n, c = plane // peek(plan, C), plane % peek(plan, C)
        base = peek(call, COLS) + n * peek(plan, COLS_N) + c * peek(plan, TAPS) * peek(plan, COLS_ROW)
        fold_lines(plan, base, line, line + some, peek(call, Y) + row * peek(plan, W) * peek(plan, ITEM), scratch)
        row += some


def _phases(grid: Grid, cols_row: int) -> tuple[list, list]:
    """The phases of the last axis and their pieces, as the kernel reads them."""
    w, kernel, step, pad, dilation = (
        part[2] for part in (grid.sizes, grid.kernel, grid.stride, grid.padding, grid.dilation)
    )
    phases, pieces = [], []
    for phase in range(step):
        first, count = len(pieces), max(0, -(-(w - phase) // step))
        for kw in range(kernel):
            shift, apart = divmod(phase + pad - kw * dilation, step)  # window of the phase's first column
            low, high = max(0, -shift), min(count, grid.counts[2] - shift)
            if apart == 0 and low < high:
                pieces.append((kw * cols_row + shift * grid.itemsize, low, high))
        inner = max((p[1] for p in pieces[first:]), default=0), min((p[2] for p in pieces[first:]), default=count)
        phases.append((first, len(pieces), count, *inner))
    return phases, pieces


def fold(grid: Grid, steps: tuple[int, int], target: Target) -> Job:
    """The job for columns whose images and rows are so many bytes apart, and whose rows are contiguous."""
    cols_n, cols_row = steps
    item, stored = grid.itemsize, SHORT_DTYPE[grid.dtype]
    (d, h, w), (kd, kh, _) = grid.sizes, grid.kernel
    phases, pieces = (np.array(part or [0], np.int64) for part in _phases(grid, cols_row))
    most = max(int(phase[END] - phase[FIRST]) for phase in phases) * kd * kh
    rows, sw = grid.n * grid.c * d * h, grid.stride[2]
    read = max(1, grid.n * grid.rows * grid.windows * item)
    each = max(1, min(TASK_BYTES * rows // read, rows // 8))
    lines = -(-8 * (kd * kh + PIECE_WORDS * most) // LINE) * LINE
    pitch = -(-(-(-w // sw) * item) // LINE) * LINE
    together = max(1, WOVEN // w)
    wide = stored if stored in ("f32", "f64") else f"{stored}f32"
    kernels = (
        f"overlap_{wide}_{target.isa}",
        f"weave_{MOVED[stored]}_{target.isa}",
        f"transpose_{MOVED[stored]}_{target.isa}_columns",
    )
    fields = (
        each, rows, grid.c, grid.taps, cols_n, cols_row, *grid.sizes, *grid.kernel, *grid.stride, *grid.padding[:2],
        *grid.dilation[:2], *grid.counts, item, phases.ctypes.data, pieces.ctypes.data, lines, pitch, together,
        *(microkernel(name).address for name in kernels),
    )  # fmt: skip
    scratch = lines + (sw * together * pitch if sw > 1 else 0) + LINE
    moved = grid.n * (grid.rows * grid.windows + grid.c * d * h * w)
    plan = np.array(fields, np.int64)
    return Job(fold_rows.address, plan, -(-rows // each), scratch, 16 * moved, [phases, pieces])
