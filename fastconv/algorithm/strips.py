"""Packing of input strips: the rows a block of output pixels needs, with borders, strides and narrow types gone.

channels_first   strip[c][class][row][column]   a class holds every stride_w-th column from a residue on, so that the
                                                pixels of any kernel column are side by side
channels_last    strip[row][class][column][c]   the input's own order with its border, one class of all columns; pixels
                                                are stride_w columns apart

Where dilation is large each kernel column has a class of its own (`blocking.columns_of`), in both layouts, and where
tiles go on over the ends of rows (`Cut.apart`). `row` runs over the input rows that `blocking.runs_of`
lists.
"""

from __future__ import annotations

from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native

(
    H, WIDTH, STEP, MODE,
    ROWS, ROW_OFFSETS, CLASSES, CLASS_FIRST, COLUMNS,
    X_C, X_H, X_W, PIXEL_BYTES, ITEM_BYTES, ROW_MOVE, PLANE_MOVE,
    AHEAD,                                          # from a plane to that which is asked for meanwhile, or 0
    STRIP_FIELDS,
) = range(18)  # fmt: skip

NEAR = 8  # channels whose planes are packed for all classes before the next
ZEROS, REFLECT, REPLICATE, CIRCULAR = range(4)
MODES = {"zeros": ZEROS, "reflect": REFLECT, "replicate": REPLICATE, "circular": CIRCULAR}


@helper
def source_index(i, size, mode):
    """The input index that stands at position i of the padded axis, or -1 for a zero."""
    if 0 <= i < size:
        return i
    if mode == REFLECT:
        i = -i if i < 0 else 2 * (size - 1) - i
    elif mode == REPLICATE:
        i = 0 if i < 0 else size - 1
    elif mode == CIRCULAR:
        i = i + size if i < 0 else i - size
    if mode == ZEROS or i < 0 or i >= size:
        return -1
    return i


@helper
def inside(columns, first, stride, size):
    """Which of `columns` positions first, first + stride, ... fall inside [0, size): (from, to)."""
    low = 0 if first >= 0 else (-first + stride - 1) // stride
    high = (size - 1 - first) // stride + 1 if first < size else 0
    low = min(low, columns)
    return low, max(low, min(high, columns))


@helper
def row_table(plan, top, table):
    """Where each strip row's input row lies in its plane, in bytes; -1 for a row of zeros."""
    offsets, x_h = peek(plan, ROW_OFFSETS), peek(plan, X_H)
    for j in range(peek(plan, ROWS)):
        h = source_index(top + peek(offsets, j), peek(plan, H), peek(plan, MODE))
        poke(table, j, h * x_h if h >= 0 else -1)


@native("strips_first", 7)
def strips_first(plan, x, strip, table, channels, top, left):
    """Pack strips from channels-first input for `channels` channels, from (top, left) on, which may be in the padding.

    `table` has room for an integer a row.
    """
    move, plane, item = peek(plan, ROW_MOVE), peek(plan, PLANE_MOVE), peek(plan, ITEM_BYTES)
    step, width, mode = peek(plan, STEP), peek(plan, WIDTH), peek(plan, MODE)
    x_c, x_w = peek(plan, X_C), peek(plan, X_W)
    rows, columns, classes = peek(plan, ROWS), peek(plan, COLUMNS), peek(plan, CLASSES)
    row_table(plan, top, table)
    # All classes of columns share the lines of a plane: those of some channels are still near.
    for start in range(0, channels, NEAR):
        for part in range(classes):
            first = left + peek(peek(plan, CLASS_FIRST), part)
            low, high = inside(columns, first, step, width)
            ahead = peek(plan, AHEAD) if part == 0 else 0
            for c in range(start, min(start + NEAR, channels)):
                dst = strip + (c * classes + part) * rows * columns * item
                source = x + c * x_c
                invoke(plane, (source + first * x_w, table, rows, step * x_w, dst, columns, low, high, ahead))
                if mode != ZEROS and (low > 0 or high < columns):
                    for j in range(rows):
                        line = source + peek(table, j)
                        for i in range(columns):
                            if (i < low or i >= high) and peek(table, j) != -1:
                                at = source_index(first + i * step, width, mode)
                                if at >= 0:
                                    invoke(move, (line + at * x_w, x_w, dst + (j * columns + i) * item, 0, 1, 0))


@native("strips_last", 7)
def strips_last(plan, x, strip, table, channels, top, left):
    """Pack strips from channels-last input; see `strips_first`."""
    move, item, pixel = peek(plan, ROW_MOVE), peek(plan, ITEM_BYTES), peek(plan, PIXEL_BYTES)
    width, mode, columns, step = peek(plan, WIDTH), peek(plan, MODE), peek(plan, COLUMNS), peek(plan, STEP)
    x_w, x_c, classes = peek(plan, X_W), peek(plan, X_C), peek(plan, CLASSES)
    row_table(plan, top, table)
    one_run = x_w == channels * x_c and pixel == channels * item and step == 1 and mode == ZEROS
    for part in range(classes):
        first = left + peek(peek(plan, CLASS_FIRST), part)
        low, high = inside(columns, first, step, width)
        for j in range(peek(plan, ROWS)):
            line, dst = x + peek(table, j), strip + (j * classes + part) * columns * pixel
            if peek(table, j) == -1:
                invoke(move, (x, x_c, dst, columns * pixel // item, 0, 0))
            elif one_run:
                invoke(move, (line + (first + low) * x_w, x_c, dst, low * channels, (high - low) * channels,
                              (columns - high) * channels))  # fmt: skip
            else:
                for i in range(columns):
                    at = source_index(first + i * step, width, mode)
                    if at < 0:
                        invoke(move, (x, x_c, dst + i * pixel, channels, 0, 0))
                    else:
                        invoke(move, (line + at * x_w, x_c, dst + i * pixel, 0, channels, 0))
