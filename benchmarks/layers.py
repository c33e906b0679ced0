"""Layers of networks: the forward pass with weights anew and packed once, the gradients, other operators."""

from benchmarks.common import LAYOUTS, _Timed, every, prepared, some

CONVOLUTIONS = (
    "c0064_k0064_056x056_3x3_s1_p1",
    "c0003_k0064_224x224_7x7_s2_p3",
    "c0003_k0032_224x224_3x3_s2_p1",
    "c0003_k0064_224x224_3x3_s1_p1",
    "c0128_k0128_028x028_3x3_s1_p1",
    "c0256_k0256_014x014_3x3_s1_p1",
    "c0512_k0512_007x007_3x3_s1_p1",
    "c0128_k0128_056x056_3x3_s2_p1",
    "c0064_k0256_056x056_1x1_s1",
    "c0256_k0064_056x056_1x1_s1",
    "c0512_k0128_028x028_1x1_s1",
    "c0512_k2048_007x007_1x1_s1",
    "c1024_k2048_014x014_1x1_s2",
    "c0064_k0192_027x027_5x5_s1_p2",
    "c0032_k0032_112x112_3x3_s1_p1_g32",
    "c0144_k0144_056x056_3x3_s2_p1_g144",
    "c0384_k0384_014x014_3x3_s1_p1_g384",
    "c0480_k0480_014x014_5x5_s1_p2_g480",
    "c0084_k0168_064x064_3x3_s1_p4_d4",
    "c0006_k0016_014x014_5x5_s1",
)
# For the gradients: a first layer, 3x3, 1x1, strides, depthwise; at a batch that people train with.
TRAINED = (
    "c0064_k0064_056x056_3x3_s1_p1",
    "c0003_k0064_224x224_7x7_s2_p3",
    "c0512_k0512_007x007_3x3_s1_p1",
    "c0128_k0128_056x056_3x3_s2_p1",
    "c0256_k0064_056x056_1x1_s1",
    "c1024_k2048_014x014_1x1_s2",
    "c0144_k0144_056x056_3x3_s1_p1_g144",
    "c0576_k0576_014x014_3x3_s2_p1_g576",
)

TRANSPOSED = (
    "conv_transpose2d_c0512_k0256_052x052_2x2_s2",
    "conv_transpose2d_c0512_k0256_008x008_4x4_s2_p1",
    "conv_transpose2d_c0256_k0096_026x026_5x5_s2",
    "conv_transpose2d_c0064_k0064_056x056_3x3_s2_p1_e1_g64",
)
OTHER_DIMENSIONS = (
    "conv1d_c0512_k0512_001x3199_1x3_s1x2",
    "conv3d_c0064_k0128_056x056_3x3_s1_p1_depth16x3s1p1d1",
)
POOLS = (
    "max_pool2d_c0064_k0064_112x112_3x3_s2_p1",
    "max_pool2d_c0064_k0064_224x224_2x2_s2",
    "avg_pool2d_c0256_k0256_028x028_2x2_s2",
    "global_avg_pool_c2048_k2048_007x007_7x7_s1",
    "max_pool2d_c0064_k0064_112x112_13x13_s1_p6",
)


class _Layers(_Timed):
    param_names = ("layer", "layout")
    pass_, api, batch = "forward", "function", 1

    def prepare(self, label, layout):
        return prepared(self.pass_, self.api, label, layout, self.threads, self.batch)


class Forward(_Layers):
    """conv2d: weights new at each call."""

    params = (some(CONVOLUTIONS, every("conv2d")), some(LAYOUTS))


class Packed(_Layers):
    """Conv2d: weights packed once."""

    params = (some(CONVOLUTIONS, every("conv2d")), some(LAYOUTS[:1], LAYOUTS))
    api = "layer"


class OneThread(_Layers):
    """conv2d on one thread."""

    params = (some(CONVOLUTIONS[:1], every("conv2d")), some(LAYOUTS[:1], LAYOUTS))
    threads = 1


class Double(_Layers):
    """conv2d in float64."""

    params = (some(CONVOLUTIONS[:1], every("conv2d")), some(LAYOUTS[:1], LAYOUTS))

    def prepare(self, label, layout):
        return prepared(self.pass_, self.api, label, layout, self.threads, self.batch, "float64")


class _Gradients(_Layers):
    params = (some(TRAINED, every("conv2d")), some(LAYOUTS[:1], LAYOUTS))
    batch = 8


class InputGrad(_Gradients):
    """conv2d_input_grad."""

    pass_ = "input_grad"


class WeightGrad(_Gradients):
    """conv2d_weight_grad."""

    pass_ = "weight_grad"


class Training(_Gradients):
    """conv2d, and conv2d_backward for input and weight."""

    params = (some(TRAINED[:2], every("conv2d")), some(LAYOUTS[:1], LAYOUTS))
    pass_ = "training"


class Transposed(_Layers):
    """conv_transpose1d to 3d."""

    params = (some(TRANSPOSED, every("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")), some(LAYOUTS))


class TransposedWeightGrad(Transposed):
    """Their weights' gradients."""

    params = (some(TRANSPOSED[:2]), some(LAYOUTS[:1], LAYOUTS))
    pass_ = "weight_grad"


class OtherDimensions(_Layers):
    """conv1d and conv3d."""

    params = (some(OTHER_DIMENSIONS, every("conv1d", "conv3d")), some(LAYOUTS))


class Pool(_Layers):
    """Pools, whose limit is that of a copy."""

    params = (some(POOLS, every("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
                                "global_avg_pool")), some(LAYOUTS))  # fmt: skip


class PoolInputGrad(Pool):
    """Their gradients."""

    params = (some(POOLS[:4]), some(LAYOUTS))
    pass_ = "input_grad"
