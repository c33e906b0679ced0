"""fastconv: fast convolution and pooling on the CPU for NumPy arrays."""

from fastconv.conv import conv1d, conv2d, conv3d
from fastconv.conv_grad import (
    ConvGradients,
    conv1d_backward,
    conv1d_input_grad,
    conv1d_weight_grad,
    conv2d_backward,
    conv2d_input_grad,
    conv2d_weight_grad,
    conv3d_backward,
    conv3d_input_grad,
    conv3d_weight_grad,
)
from fastconv.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from fastconv.conv_transpose_grad import (
    conv_transpose1d_backward,
    conv_transpose1d_input_grad,
    conv_transpose1d_weight_grad,
    conv_transpose2d_backward,
    conv_transpose2d_input_grad,
    conv_transpose2d_weight_grad,
    conv_transpose3d_backward,
    conv_transpose3d_input_grad,
    conv_transpose3d_weight_grad,
)
from fastconv.insight import Plan, algorithms, explain, show_config
from fastconv.layers import Conv1d, Conv2d, Conv3d
from fastconv.layers_transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from fastconv.threads import get_num_threads, num_threads, set_num_threads
from fastconv.version import __version__ as __version__

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvGradients",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Plan",
    "algorithms",
    "conv1d",
    "conv1d_backward",
    "conv1d_input_grad",
    "conv1d_weight_grad",
    "conv2d",
    "conv2d_backward",
    "conv2d_input_grad",
    "conv2d_weight_grad",
    "conv3d",
    "conv3d_backward",
    "conv3d_input_grad",
    "conv3d_weight_grad",
    "conv_transpose1d",
    "conv_transpose1d_backward",
    "conv_transpose1d_input_grad",
    "conv_transpose1d_weight_grad",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose2d_input_grad",
    "conv_transpose2d_weight_grad",
    "conv_transpose3d",
    "conv_transpose3d_backward",
    "conv_transpose3d_input_grad",
    "conv_transpose3d_weight_grad",
    "explain",
    "get_num_threads",
    "num_threads",
    "set_num_threads",
    "show_config",
]
