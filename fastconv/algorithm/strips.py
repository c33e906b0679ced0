"""Packing of input strips: the rows a block of output pixels needs, with borders, strides and narrow types gone.

channels_first   strip[c][s][row][column]   one plane per channel and kernel column: the pixels of a kernel tap are
                                            side by side across rows, so a register may span image rows
channels_last    strip[row][column][s][c]   one pixel's taps are side by side; the step from pixel to pixel is fixed

`row` runs over the input rows that blocking.strip_rows lists; `column` over the block's output columns.
"""

from __future__ import annotations

from fastconv.codegen.emit import invoke, peek, poke
from fastconv.codegen.jit import helper, native

(
    H, WIDTH, STRIDE_H, STRIDE_W, TOP, LEFT, S, DILATION_W, MODE,
    ROWS, ROW_OFFSETS, X_C, X_H, X_W, PIXEL_BYTES, TAP_BYTES, ITEM_BYTES, ROW_MOVE, PLANE_MOVE,
    STRIP_FIELDS,
) = range(20)  # fmt: skip

ZEROS, REFLECT, REPLICATE, CIRCULAR = range(4)


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
def row_table(plan, oh0, x_h, table):
    """Where each strip row's input row lies in its plane, in bytes; -1 for a row of zeros."""
    offsets = peek(plan, ROW_OFFSETS)
    top = oh0 * peek(plan, STRIDE_H) - peek(plan, TOP)
    for j in range(peek(plan, ROWS)):
        h = source_index(top + peek(offsets, j), peek(plan, H), peek(plan, MODE))
        poke(table, j, h * x_h if h >= 0 else -1)


@native("strips_first", 8)
def strips_first(plan, x, strip, table, channels, oh0, ow0, columns):
    """Pack strips from channels-first input for `channels` channels; `table` has room for an integer a row."""
    move, plane, item = peek(plan, ROW_MOVE), peek(plan, PLANE_MOVE), peek(plan, ITEM_BYTES)
    stride, width, mode = peek(plan, STRIDE_W), peek(plan, WIDTH), peek(plan, MODE)
    x_c, x_h, x_w = peek(plan, X_C), peek(plan, X_H), peek(plan, X_W)
    rows, taps = peek(plan, ROWS), peek(plan, S)
    row_table(plan, oh0, x_h, table)
    dst = strip
    for s in range(taps):
        first = ow0 * stride + s * peek(plan, DILATION_W) - peek(plan, LEFT)
        low, high = inside(columns, first, stride, width)
        for c in range(channels):
            dst = strip + (c * taps + s) * rows * columns * item
            source = x + c * x_c
            invoke(plane, (source + first * x_w, table, rows, stride * x_w, dst, columns, low, high))
            if mode != ZEROS and (low > 0 or high < columns):
                for j in range(rows):
                    line = source + peek(table, j)
                    for i in range(columns):
                        if (i < low or i >= high) and peek(table, j) != -1:
                            at = source_index(first + i * stride, width, mode)
                            invoke(move, (line + at * x_w, x_w, dst + (j * columns + i) * item, 0, 1, 0))


@native("strips_last", 8)
def strips_last(plan, x, strip, table, channels, oh0, ow0, columns):
    """Pack strips from channels-last input for `channels` channels."""
    move, item, pixel = peek(plan, ROW_MOVE), peek(plan, ITEM_BYTES), peek(plan, PIXEL_BYTES)
    stride, width, mode = peek(plan, STRIDE_W), peek(plan, WIDTH), peek(plan, MODE)
    x_h, x_w, x_c = peek(plan, X_H), peek(plan, X_W), peek(plan, X_C)
    taps, dilation, tap = peek(plan, S), peek(plan, DILATION_W), peek(plan, TAP_BYTES)
    rows = peek(plan, ROWS)
    row_table(plan, oh0, x_h, table)
    # A pixel's taps are side by side in x too.
    one_run = x_w == channels * x_c and tap == channels * item and dilation == 1
    dst = strip
    for j in range(rows):
        exists = peek(table, j) != -1
        line = x + peek(table, j)
        for i in range(columns):
            first = (ow0 + i) * stride - peek(plan, LEFT)
            if not exists:
                invoke(move, (x, x_c, dst, pixel // item, 0, 0))
            elif one_run and first >= 0 and first + taps <= width:
                invoke(move, (line + first * x_w, x_c, dst, 0, taps * channels, 0))
            else:
                for s in range(taps):
                    at = source_index(first + s * dilation, width, mode)
                    if at < 0:
                        invoke(move, (x, x_c, dst + s * tap, channels, 0, 0))
                    else:
                        invoke(move, (line + at * x_w, x_c, dst + s * tap, 0, channels, 0))
            dst += pixel
