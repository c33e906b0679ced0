"""Every algorithm by its name on layers that it accepts; others raise NotImplementedError."""

import functools

import fastconv as fc
from benchmarks.common import LAYERS, _Timed, every, random, some
from fastconv.bench import roofline

FORWARD = ("winograd", "direct", "im2col", "pointwise", "depthwise", "matvec")
INPUT_GRAD = ("phases", "winograd", "direct", "im2col", "pointwise", "depthwise")
WEIGHT_GRAD = ("winograd", "taps", "outputs", "inputs", "depthwise")
SHAPES = (
    "c0064_k0064_056x056_3x3_s1_p1",
    "c0512_k0512_007x007_3x3_s1_p1",
    "c0128_k0128_056x056_3x3_s2_p1",
    "c0256_k0064_056x056_1x1_s1",
    "c0144_k0144_056x056_3x3_s1_p1_g144",
)
VECTOR = ("c1152_k0048_001x001_1x1_s1",)


@functools.lru_cache(1)
def _prepared(op, label, algorithm, threads, batch):
    if not hasattr(fc, op) or algorithm not in fc.algorithms(op):
        raise NotImplementedError
    layer = LAYERS[label]
    x, w, dy = random(layer.x_shape(batch)), random(layer.weight_shape, 1), random(layer.y_shape(batch), 2)
    arrays = {
        "conv2d": (x, w),
        "conv2d_input_grad": (dy, w, x.shape),
        "conv2d_weight_grad": (dy, x, w.shape),
    }[op]
    call = functools.partial(getattr(fc, op), *arrays, algorithm=algorithm, **layer.kwargs)
    try:
        call()
    except ValueError as refusal:  # which is how the library says that it cannot
        raise NotImplementedError(str(refusal)) from None
    return call, functools.partial(roofline.limit, layer.flops(batch), layer.bytes(batch), "float32", threads)


class _Algorithms(_Timed):
    param_names = ("layer", "algorithm")
    op, batch = "conv2d", 1

    def prepare(self, label, algorithm):
        return _prepared(self.op, label, algorithm, self.threads, self.batch)


class Forward(_Algorithms):
    """conv2d(algorithm=...)."""

    params = (some(SHAPES + VECTOR, every("conv2d")), some(FORWARD))


class InputGrad(_Algorithms):
    """conv2d_input_grad(algorithm=...)."""

    params = (some(SHAPES, every("conv2d")), some(INPUT_GRAD))
    op, batch = "conv2d_input_grad", 4


class WeightGrad(_Algorithms):
    """conv2d_weight_grad(algorithm=...)."""

    params = (some(SHAPES, every("conv2d")), some(WEIGHT_GRAD))
    op, batch = "conv2d_weight_grad", 4
