"""The spatial axes of pools: windows that slide, or parts that differ by an element."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, slots=True)
class Axis:
    """One spatial axis: `out` windows of `kernel` taps that lie `dilation` apart on `size` elements with borders."""

    size: int
    out: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    def starts(self) -> np.ndarray:
        """Where each window's first tap would lie, inside the axis or not."""
        return np.arange(self.out, dtype=np.int64) * self.stride - self.before

    def first_tap(self) -> np.ndarray:
        """The first tap of each window that does not lie before the axis."""
        return np.maximum(0, -(self.starts() // self.dilation))

    def inside(self) -> np.ndarray:
        """How many taps of each window lie on the axis."""
        last = np.minimum(self.kernel, -((self.starts() - self.size) // self.dilation))
        return np.maximum(0, last - self.first_tap())

    def counted(self) -> np.ndarray:
        """How many taps lie on the axis or its borders: all but those that ceil mode adds beyond."""
        beyond = self.size + self.after
        return np.maximum(0, np.minimum(self.kernel, -((self.starts() - beyond) // self.dilation)))

    @property
    def whole(self) -> bool:
        """Whether every window lies inside the axis."""
        return self.before == 0 and self.behind == 0

    @property
    def behind(self) -> int:
        """How far the last window ends behind the axis."""
        last = (self.out - 1) * self.stride - self.before + (self.kernel - 1) * self.dilation
        return max(0, last + 1 - self.size)

    def trimmed(self) -> Axis:
        """This axis without the taps that no window has inside: then a kernel is no longer than the axis needs."""
        inside = self.inside()
        windows = inside > 0
        if not windows.any():
            return replace(self, kernel=1, dilation=1)
        first = self.first_tap()[windows]
        skipped = int(first.min())
        kernel = int((first + inside[windows]).max()) - skipped
        step = self.dilation if kernel > 1 else 1
        return replace(self, kernel=kernel, dilation=step, before=self.before - skipped * self.dilation)


@dataclass(frozen=True, slots=True)
class Parts(Axis):
    """One spatial axis divided into `out` parts, as alike as can be, of up to `kernel` elements; some may overlap."""

    def starts(self) -> np.ndarray:
        """Where each part begins."""
        return np.arange(self.out, dtype=np.int64) * self.size // self.out

    def first_tap(self) -> np.ndarray:
        """Parts lie on the axis."""
        return np.zeros(self.out, np.int64)

    def inside(self) -> np.ndarray:
        """How many elements each part has."""
        return -(np.arange(1, self.out + 1, dtype=np.int64) * -self.size // self.out) - self.starts()

    def counted(self) -> np.ndarray:
        """The same."""
        return self.inside()

    @property
    def whole(self) -> bool:
        """They do not leave the axis."""
        return True


def axis_in_parts(size: int, out: int) -> Axis:
    """An axis divided into parts; into windows that slide, if they are all alike: 13 in 6 are of 3, every 2."""
    if size % out == 0:
        return Axis(size, out, size // out, size // out)
    parts = Parts(size, out)
    starts, lengths = parts.starts(), parts.inside()
    steps, length = np.unique(np.diff(starts)), int(lengths.max())
    if len(steps) == 1 and steps[0] > 0 and (lengths == length).all():
        return Axis(size, out, length, int(steps[0]))
    return Parts(size, out, length)


ONE = Axis(1, 1)  # the axes that one- and two-dimensional pools lack
