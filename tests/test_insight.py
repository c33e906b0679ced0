"""explain and algorithms: what they say to wrong arguments, and that they promise nothing that a call refuses."""

import numpy as np
import pytest

import fastconv as fc

X, W = (1, 4, 8, 8), (6, 4, 3, 3)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("conv2d", 5, W), {}, TypeError, r"\bx_shape\b.*5"),
        (("conv2d", None, W), {}, TypeError, r"\bx_shape\b.*None"),
        (("conv2d", "1,4,8,8", W), {}, TypeError, r"\bx_shape\b"),
        (("conv2d", X, 3), {}, TypeError, r"\bweight_shape\b.*3"),
        (("conv2d", X, W), {"bias": "yes"}, TypeError, r"\bbias\b.*yes"),
        (("conv2d", X, W), {"residual": 1}, TypeError, r"\bresidual\b"),
        (("conv2d", X, W), {"packed": None}, TypeError, r"\bpacked\b"),
        (("conv2d", X, W, np.ones(6)), {}, TypeError, r"\bbias\b"),
        (("conv2d", X, W), {"strides": 2}, TypeError, r"\bstrides\b"),
        (("conv2d_input_grad", X, W), {"bias": True}, ValueError, r"\bbias\b.*conv2d_input_grad"),
        (("conv2d_weight_grad", X, W), {"residual": True}, ValueError, r"\bresidual\b.*conv2d_weight_grad"),
        (("conv2d_input_grad", X, W), {"activation": "relu"}, ValueError, r"\bactivation\b.*conv2d_input_grad"),
        (("conv_transpose2d_input_grad", X, (4, 6, 3, 3)), {"bias": True}, ValueError, r"\bbias\b"),
        (("max_pool2d", 5, 2), {}, TypeError, r"\bx_shape\b"),
        (("max_pool2d", X, 2.0), {}, TypeError, r"\bkernel_size\b.*2\.0"),
        (("max_pool2d", X, None), {}, TypeError, r"\bkernel_size\b.*None"),
        (("max_pool2d", X, 2), {"algorithm": "rows"}, ValueError, r"\balgorithm\b.*max_pool2d"),
        (("avg_pool2d", X, 2), {"algorithm": "tune"}, ValueError, r"\balgorithm\b.*avg_pool2d"),
        (("avg_pool2d", X, 2), {"bias": True}, ValueError, r"\bbias\b.*avg_pool2d"),
        (("avg_pool2d", X, 2), {"packed": True}, ValueError, r"\bpacked\b.*avg_pool2d"),
        (("max_pool2d_backward", X, 2), {}, TypeError, r"\by's shape\b.*2"),
        (("max_pool2d_backward", X, (1, 4, 4, 4)), {"stride": 2}, TypeError, r"\bstride\b"),
        (("adaptive_avg_pool2d", X, 2), {"return_indices": True}, TypeError, r"\breturn_indices\b"),
    ],
)
def test_wrong_arguments(arguments, options, error, message):
    with pytest.raises(error, match=message):
        fc.explain(*arguments, **options)


@pytest.mark.parametrize("op", ["conv4d", "", 5, None, [], "unfold"], ids=repr)
def test_an_unknown_operator_is_named(op):
    for call in (fc.algorithms, lambda op: fc.explain(op, X, W)):
        with pytest.raises(ValueError, match=r"\bop\b.*") as caught:
            call(op)
        assert repr(op) in str(caught.value)


def test_numpy_ints_and_shapes_are_sizes():
    assert fc.explain("conv2d", np.array(X), np.array(W)) == fc.explain("conv2d", X, list(W))
    assert fc.explain("max_pool2d", X, np.int64(2)) == fc.explain("max_pool2d", X, 2)
