"""fastconv: fast convolution and pooling on the CPU for NumPy arrays."""

from fastconv.conv import conv2d
from fastconv.conv_grad import ConvGradients, conv2d_backward, conv2d_input_grad, conv2d_weight_grad
from fastconv.insight import Plan, algorithms, explain, show_config
from fastconv.layers import Conv2d
from fastconv.pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    weighted_avg_pool1d,
    weighted_avg_pool2d,
    weighted_avg_pool3d,
)
from fastconv.pool_grad import (
    avg_pool1d_backward,
    avg_pool2d_backward,
    avg_pool3d_backward,
    lp_pool1d_backward,
    lp_pool2d_backward,
    lp_pool3d_backward,
    max_pool1d_backward,
    max_pool2d_backward,
    max_pool3d_backward,
    weighted_avg_pool1d_backward,
    weighted_avg_pool2d_backward,
    weighted_avg_pool3d_backward,
)
from fastconv.threads import get_num_threads, num_threads, set_num_threads
from fastconv.unpool import (
    max_unpool1d,
    max_unpool1d_backward,
    max_unpool2d,
    max_unpool2d_backward,
    max_unpool3d,
    max_unpool3d_backward,
)
from fastconv.version import __version__ as __version__
from fastconv.windows import fold, unfold

__all__ = [
    "Conv2d",
    "ConvGradients",
    "Plan",
    "algorithms",
    "avg_pool1d",
    "avg_pool1d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "avg_pool3d",
    "avg_pool3d_backward",
    "conv2d",
    "conv2d_backward",
    "conv2d_input_grad",
    "conv2d_weight_grad",
    "explain",
    "fold",
    "get_num_threads",
    "lp_pool1d",
    "lp_pool1d_backward",
    "lp_pool2d",
    "lp_pool2d_backward",
    "lp_pool3d",
    "lp_pool3d_backward",
    "max_pool1d",
    "max_pool1d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool3d",
    "max_pool3d_backward",
    "max_unpool1d",
    "max_unpool1d_backward",
    "max_unpool2d",
    "max_unpool2d_backward",
    "max_unpool3d",
    "max_unpool3d_backward",
    "num_threads",
    "set_num_threads",
    "show_config",
    "unfold",
    "weighted_avg_pool1d",
    "weighted_avg_pool1d_backward",
    "weighted_avg_pool2d",
    "weighted_avg_pool2d_backward",
    "weighted_avg_pool3d",
    "weighted_avg_pool3d_backward",
]
