"""Microkernels by themselves, against one core's multiply-add peak."""

from benchmarks.common import AMOUNT, TIMES, quotient, some
from fastconv.bench import kernels
from fastconv.microkernels.inventory import names
from fastconv.microkernels.names import parse
from fastconv.target import host

# What the dispatcher asks for most. Columns count vectors here, so that a name is that of any instruction set.
USUAL = (
    "gemm_f32_08x3_px",
    "gemm_f32_12x2_px",
    "gemm_f32_14x2_ch",
    "gemm_f32_08x3_ch_strided",
    "gemm_f32_06x4_px_strided_panel",
    "gemm_f32_04x2_px",
    "gemm_f64_08x3_px",
    "gemm_f64_08x3_ch",
    "depthwise_f32_08x1_3x3s1",
    "depthwise_f32_08x1_5x5s1",
    "stencil_f32_01x1_3x3s1",
    "stencil_f32_01x1_5x5s1",
    "stencil_f32_01x1_3x3s2",
    "dot_f32_04x1",
    "amx_f32_32x2_px_x6",
)


def _portable(name):
    """A kernel's name without its instruction set, with columns in vectors."""
    spec = parse(name)
    return "_".join([spec.op, spec.dtype, f"{spec.rows:02d}x{spec.vectors}", *spec.variants])


def _here():
    """This machine's names by the portable ones."""
    able = (n for n in names(host()) if n.split("_")[0] in kernels.OPS and "taps" not in n.split("_"))
    return {_portable(name): name for name in able}


class Kernel:
    """On operands in the nearest caches, called in a row."""

    version = "1"
    param_names = ("kernel",)
    params = (some(USUAL, _here() if AMOUNT == "all" else ()),)

    def setup(self, kernel):
        self.name = _here().get(kernel)
        if self.name is None:
            raise NotImplementedError
        kernels.share_of_peak(self.name)

    def track_vs_peak(self, kernel):
        return quotient(100, kernels.share_of_peak(self.name))

    track_vs_peak.unit = TIMES
