"""Time per FLOP while one size of a convolution grows: it should have no cliff."""

from benchmarks.common import AMOUNT, TIMES, quotient, some
from fastconv.bench import scaling
from fastconv.peak import measured_peak

# Those on a core that finds its data near; all of them with FASTCONV_ASV=all.
SIZES = tuple(size for size in scaling.SIZES if size <= 130)


class Sizes:
    """Layers of 64 channels and 56x56 pixels, with weights packed once, as C, K or H goes from 16 to 130."""

    version = "1"
    timeout = 300
    param_names = ("kernel", "size")
    params = (some(("3x3", "1x1", "depthwise 3x3")), some(("C", "K", "H")))
    threads = 2

    def setup(self, kind, axis):
        sizes = SIZES[::8] if AMOUNT == "few" else scaling.SIZES if AMOUNT == "all" else SIZES
        self.points = scaling.points(self.threads, (kind,), (axis,), sizes)
        if not self.points:
            raise NotImplementedError
        scaling.seconds(self.points[0], "channels_first", "float32", "layer", 0)

    def track_worst_neighbours(self, kind, axis):
        """The largest change of time per FLOP from one size to the next."""
        found = list(scaling.measure(self.points, "channels_first", "float32", "layer"))
        return quotient(scaling.worst(found)[0][0], 1)

    track_worst_neighbours.unit = "times"

    def track_mean_vs_peak(self, kind, axis):
        """All sizes together."""
        found = list(scaling.measure(self.points, "channels_first", "float32", "layer"))
        seconds, flops = (sum(point[what] for point in found) for what in ("seconds", "flops"))
        return quotient(seconds, flops / measured_peak("float32", self.threads) / 1e9)

    track_mean_vs_peak.unit = TIMES
