"""Memory: of a process that runs a layer, and of a call besides its arrays."""

import fastconv as fc
from benchmarks.common import LAYERS, every, random, some

SHAPES = (
    "c0064_k0064_056x056_3x3_s1_p1",
    "c0512_k0512_007x007_3x3_s1_p1",
    "c0064_k0064_224x224_3x3_s1_p1",
    "c0256_k0064_056x056_1x1_s1",
)
OPERATORS = ("conv2d", "conv2d_input_grad", "conv2d_weight_grad")
BATCH = 8


class Memory:
    """Operators on a batch of eight."""

    version = "1"
    timeout = 120
    param_names = ("layer", "operator")
    params = (some(SHAPES, every("conv2d")), some(OPERATORS))

    def setup(self, label, op):
        if not hasattr(fc, op):
            raise NotImplementedError
        fc.set_num_threads(2)
        self.layer = LAYERS[label]

    def peakmem_process(self, label, op):
        """The arrays, the library and what it keeps."""
        layer = self.layer
        x, w = random(layer.x_shape(BATCH)), random(layer.weight_shape, 1)
        if op == "conv2d":
            fc.conv2d(x, w, **layer.kwargs)
        elif op == "conv2d_input_grad":
            fc.conv2d_input_grad(random(layer.y_shape(BATCH), 2), w, x.shape, **layer.kwargs)
        else:
            fc.conv2d_weight_grad(random(layer.y_shape(BATCH), 2), x, w.shape, **layer.kwargs)

    def track_workspace(self, label, op):
        """Bytes of scratch and packed weights."""
        if op not in ("conv2d",) and op not in _explained():
            raise NotImplementedError
        return fc.explain(op, self.layer.x_shape(BATCH), self.layer.weight_shape, **self.layer.kwargs).workspace

    track_workspace.unit = "bytes"


def _explained():
    """The operators that this commit's `explain` knows."""
    try:
        fc.algorithms("conv2d_input_grad")
    except ValueError:
        return ("conv2d",)
    return OPERATORS
