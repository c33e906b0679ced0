"""Where windows lie on images of one to three axes: the sizes behind `unfold` and `fold`."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

from fastconv.checks import ITEMSIZE, as_sizes
from fastconv.problem.conv import SHORT_DTYPE, output_size

Triple = tuple[int, int, int]
AXES = (("length",), ("height", "width"), ("depth", "height", "width"))


@dataclass(frozen=True, slots=True)
class Grid:
    """Windows on n images of c channels; images of fewer axes than three have depth, or depth and height, 1."""

    n: int
    c: int
    sizes: Triple
    kernel: Triple
    stride: Triple
    padding: Triple
    dilation: Triple
    dtype: str
    axes: int
    outputs: Triple | None = None  # windows along each axis, if not those that fit with the same padding at both ends

    @property
    def counts(self) -> Triple:
        """Windows along each axis."""
        if self.outputs is not None:
            return self.outputs
        axes = zip(self.sizes, self.kernel, self.stride, self.dilation, self.padding, strict=True)
        return tuple(output_size(size, k, step, dilation, (pad, pad)) for size, k, step, dilation, pad in axes)

    @property
    def windows(self) -> int:
        """Windows on an image."""
        return math.prod(self.counts)

    @property
    def taps(self) -> int:
        """Elements of a window."""
        return math.prod(self.kernel)

    @property
    def rows(self) -> int:
        """Rows of an image's columns: one for each element of the windows of each channel."""
        return self.c * self.taps

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return ITEMSIZE[self.dtype]

    @property
    def label(self) -> str:
        """A short text that no other grid has."""
        parts = [f"n{self.n}", f"c{self.c}"]
        for letter in ("sizes", "kernel", "stride", "padding", "dilation"):
            mark = "" if letter == "sizes" else letter[0]
            parts.append(mark + "x".join(map(str, getattr(self, letter)[3 - self.axes :])))
        return "_".join([SHORT_DTYPE[self.dtype], *parts])


def make_grid(
    op: str, n: int, c: int, spatial: tuple[int, ...], dtype: str, kernel: Any, dilation: Any, padding: Any, stride: Any
) -> Grid:
    """The grid of checked sizes and a caller's arguments; no axis may be without windows."""
    axes = len(spatial)
    for axis, size in zip(("channels", *AXES[axes - 1]), (c, *spatial), strict=True):
        if size == 0:
            raise ValueError(f"{op}: the image has no {axis} (sizes {(c, *spatial)}); only the batch axis may be empty")
    given = {"kernel_size": (kernel, 1), "stride": (stride, 1), "padding": (padding, 0), "dilation": (dilation, 1)}
    sizes = {name: as_sizes(f"{op}: {name}", value, axes, least) for name, (value, least) in given.items()}
    one, none = (1,) * (3 - axes), (0,) * (3 - axes)
    grid = Grid(
        n, c, (*one, *spatial), (*one, *sizes["kernel_size"]), (*one, *sizes["stride"]), (*none, *sizes["padding"]),
        (*one, *sizes["dilation"]), dtype, axes,
    )  # fmt: skip
    for i, axis in enumerate(AXES[axes - 1], 3 - axes):
        padded, span = grid.sizes[i] + 2 * grid.padding[i], grid.dilation[i] * (grid.kernel[i] - 1) + 1
        if span > padded:
            raise ValueError(
                f"{op}: kernel_size spans {span} of the {axis} (kernel {grid.kernel[i]}, dilation "
                f"{grid.dilation[i]}), but the image has only {padded} ({grid.sizes[i]} and padding "
                f"{grid.padding[i]} on both sides)"
            )
    largest = max(grid.rows * grid.windows, c * math.prod(spatial))
    if (
        max(n, 1) * largest * grid.itemsize > sys.maxsize
        or max(map(sum, zip(grid.sizes, grid.padding, strict=True))) >= 1 << 31
    ):
        raise ValueError(f"{op}: {grid.rows} rows of {grid.windows} windows are too large to address")
    return grid
