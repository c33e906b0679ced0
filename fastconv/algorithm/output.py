"""The last step of a task whose kernel could not write y itself: transpose, residual, activation, narrowing."""

from __future__ import annotations

from fastconv.codegen.emit import invoke
from fastconv.codegen.jit import helper

# What remains once a task's sums are done. HANDED: all of it, to a kernel of another algorithm.
NOTHING, FINISH_LINES, TRANSPOSE_ONLY, TRANSPOSE_FINISH, HANDED = range(5)
LINES = 16  # channels that are transposed at a time; scratch for that many lines of pixels


@helper
def finish_run(
    after, by_channel, finish, slope, transpose, item, lines, source, source_pixel, source_channel, y, y_pixel,
    y_channel, residual, k0, k1, pixels,
):  # fmt: skip
    """Bring the sums of `pixels` pixels, channels k0..k1, from `source` to y; `by_channel`: a channel's pixels are
    side by side in y and in `source`."""
    if after == TRANSPOSE_ONLY:
        invoke(transpose, (source + k0 * source_channel, source_pixel, y + k0 * y_channel, y_channel, pixels, k1 - k0))
    elif after == TRANSPOSE_FINISH:
        pitch = pixels * item
        for k in range(k0, k1, LINES):
            some = min(LINES, k1 - k)
            invoke(transpose, (source + k * source_channel, source_pixel, lines, pitch, pixels, some))
            for i in range(some):
                at = (k + i) * y_channel
                invoke(finish, (lines + i * pitch, y + at, residual + at if residual != 0 else 0, pixels, slope))
    elif by_channel:
        for k in range(k0, k1):
            at = k * y_channel
            invoke(finish, (source + k * source_channel, y + at, residual + at if residual != 0 else 0, pixels, slope))
    else:
        for p in range(pixels):
            at = p * y_pixel + k0 * y_channel
            start = source + p * source_pixel + k0 * source_channel
            invoke(finish, (start, y + at, residual + at if residual != 0 else 0, k1 - k0, slope))
