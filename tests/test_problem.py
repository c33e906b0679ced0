"""Problems: sizes, padding, labels, and every rule about which arguments fit together."""

import dataclasses
import math
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastconv.problem.conv import Problem, conv2d_problem, output_size

X, WEIGHT = (2, 4, 9, 7), (6, 4, 3, 3)
sizes, kernels, steps = st.integers(1, 12), st.integers(1, 5), st.integers(1, 4)
pairs = st.tuples(st.integers(0, 4), st.integers(0, 4))


def problem(x_shape=X, weight_shape=WEIGHT, dtype="float32", **options):
    """A small problem that is right but for the given options."""
    return conv2d_problem(x_shape, weight_shape, dtype=dtype, **options)


def windows(size, kernel, stride, dilation, pads=(0, 0)):
    """How many windows fit, by trying every start."""
    padded = range(size + sum(pads))
    taps = range(0, kernel * dilation, dilation)
    return sum(all(start + tap in padded for tap in taps) for start in padded[::stride])


# Sizes


@given(sizes, kernels, steps, steps, pairs)
def test_output_size_counts_the_windows(size, kernel, stride, dilation, pads):
    assert max(0, output_size(size, kernel, stride, dilation, pads)) == windows(size, kernel, stride, dilation, pads)


@given(sizes, kernels, steps, steps)
def test_same_is_the_least_padding_that_keeps_a_window_every_stride(size, kernel, stride, dilation):
    wanted = math.ceil(size / stride)
    total = next(t for t in range(100) if windows(size, kernel, stride, dilation, (0, t)) == wanted)
    upper, lower = (
        problem((1, 1, size, 5), (1, 1, kernel, 1), stride=(stride, 1), dilation=(dilation, 1), padding=name)
        for name in ("same", "same_lower")
    )
    assert upper.oh == lower.oh == wanted
    assert upper.padding[0] == (total // 2, (total + 1) // 2)
    assert lower.padding[0] == ((total + 1) // 2, total // 2)


@settings(deadline=None)
@given(
    st.tuples(sizes, sizes),
    st.tuples(kernels, kernels),
    st.tuples(steps, steps),
    st.tuples(steps, steps),
    st.tuples(st.integers(0, 4), st.integers(0, 4)),
    st.sampled_from([(1, 2, 3), (2, 2, 2), (4, 4, 8), (2, 6, 4)]),
)
def test_shapes_are_those_of_torch(hw, kernel, stride, dilation, padding, channels):
    torch = pytest.importorskip("torch")
    groups, c, k = channels
    x_shape, weight_shape = (2, c, *hw), (k, c // groups, *kernel)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x, weight = torch.empty(x_shape, device="meta"), torch.empty(weight_shape, device="meta")
    try:
        expected = torch.nn.functional.conv2d(x, weight, **options).shape
    except RuntimeError:
        with pytest.raises(ValueError, match="weight spans"):
            problem(x_shape, weight_shape, **options)
    else:
        assert problem(x_shape, weight_shape, **options).y_shape == tuple(expected)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (4, 5), (3, 2)])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_same_pads_the_side_that_torch_pads(kernel, dilation):
    torch = pytest.importorskip("torch")
    conv2d, pad = torch.nn.functional.conv2d, torch.nn.functional.pad
    x = torch.arange(63.0, dtype=torch.float64).reshape(1, 1, 9, 7)
    weight = torch.arange(1.0, 1 + math.prod(kernel), dtype=torch.float64).reshape(1, 1, *kernel)
    rows, columns = problem((1, 1, 9, 7), (1, 1, *kernel), dilation=dilation, padding="same").padding
    expected = conv2d(x, weight, padding="same", dilation=dilation)
    assert torch.equal(conv2d(pad(x, (*columns, *rows)), weight, dilation=dilation), expected)


def test_properties():
    p = problem(padding=1, stride=2, bias_shape=(6,), residual_shape=(2, 6, 5, 4))
    assert (p.n, p.c, p.h, p.w, p.k, p.r, p.s) == (2, 4, 9, 7, 6, 3, 3)
    assert (p.oh, p.ow) == (5, 4)
    assert (p.x_shape, p.weight_shape, p.y_shape) == (X, WEIGHT, (2, 6, 5, 4))
    assert p.flops == 2 * (2 * 6 * 5 * 4) * (4 * 3 * 3)
    assert p.bytes == 4 * (2 * 4 * 9 * 7 + 6 * 4 * 3 * 3 + 2 * 6 * 5 * 4)
    assert p.bias and p.residual and not p.padding_zero and not p.depthwise


def test_channels_last_permutes_x_and_y_only():
    p = problem((2, 9, 7, 4), layout="channels_last", dtype="float64")
    assert (p.c, p.h, p.w) == (4, 9, 7)
    assert (p.x_shape, p.weight_shape, p.y_shape) == ((2, 9, 7, 4), WEIGHT, (2, 7, 5, 6))
    first = problem(dtype="float64")
    assert (p.flops, p.bytes) == (first.flops, first.bytes)


@pytest.mark.parametrize(
    ("c", "k", "groups", "depthwise"), [(4, 4, 4, True), (4, 8, 4, True), (4, 4, 2, False), (1, 4, 1, False)]
)
def test_depthwise_is_one_channel_a_group(c, k, groups, depthwise):
    assert problem((1, c, 5, 5), (k, c // groups, 3, 3), groups=groups).depthwise is depthwise


def test_an_empty_batch_is_a_problem():
    p = problem((0, 4, 9, 7))
    assert (p.y_shape, p.flops) == ((0, 6, 7, 5), 0)


# Forms of the arguments


@pytest.mark.parametrize("two", [2, np.int64(2), np.uint8(2), (2, 2), [2, 2], (np.int32(2), 2)])
def test_sizes_may_be_python_or_numpy_ints(two):
    p = problem(stride=two, dilation=two, padding=two)
    assert p == problem(stride=(2, 2), dilation=(2, 2), padding=((2, 2), (2, 2)))
    assert all(type(v) is int for v in (*p.stride, *p.dilation, *p.padding[0], *p.padding[1]))


@pytest.mark.parametrize(
    ("padding", "resolved"),
    [
        (1, ((1, 1), (1, 1))),
        ((1, 2), ((1, 1), (2, 2))),
        ([1, 2], ((1, 1), (2, 2))),
        (((0, 1), (2, 3)), ((0, 1), (2, 3))),
        ([[0, 1], (2, np.int64(3))], ((0, 1), (2, 3))),
        ("valid", ((0, 0), (0, 0))),
        ("same", ((1, 1), (0, 1))),
        ("same_upper", ((1, 1), (0, 1))),
        ("same_lower", ((1, 1), (1, 0))),
    ],
)
def test_forms_of_padding(padding, resolved):
    assert problem(weight_shape=(6, 4, 3, 2), padding=padding).padding == resolved


@pytest.mark.parametrize(
    ("activation", "canonical", "slope"),
    [
        (None, None, 0.0),
        ("relu", "relu", 0.0),
        ("gelu", "gelu", 0.0),
        ("leaky_relu", "leaky_relu", 0.01),
        (("leaky_relu", 0.2), "leaky_relu", 0.2),
        (["leaky_relu", np.float32(0.5)], "leaky_relu", 0.5),
        (("leaky_relu", -1), "leaky_relu", -1.0),
    ],
)
def test_activations(activation, canonical, slope):
    p = problem(activation=activation)
    assert (p.activation, p.slope) == (canonical, slope)
    assert type(p.slope) is float


def test_a_slope_of_minus_zero_is_zero():
    assert math.copysign(1, problem(activation=("leaky_relu", -0.0)).slope) == 1


def test_modes_without_padding_are_one_problem():
    assert problem(padding_mode="reflect") == problem() == problem(padding_mode="circular", padding="valid")


def test_same_pads_alike_in_every_mode():
    zeros = problem(padding="same", stride=2)
    for mode in ("reflect", "replicate", "circular"):
        p = problem(padding="same", stride=2, padding_mode=mode)
        assert p == dataclasses.replace(zeros, padding_mode=mode)


@pytest.mark.parametrize("padding", range(8))
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_modes_pad_as_far_as_those_of_torch(mode, padding):
    torch = pytest.importorskip("torch")
    try:
        torch.nn.functional.pad(torch.zeros(1, 1, 5, 5), (0, padding, padding, 0), mode=mode)
    except RuntimeError:
        with pytest.raises(ValueError, match="padding"):
            problem((1, 1, 5, 5), (1, 1, 1, 1), padding=((padding, 0), (0, padding)), padding_mode=mode)
    else:
        problem((1, 1, 5, 5), (1, 1, 1, 1), padding=((padding, 0), (0, padding)), padding_mode=mode)


# Identity


def test_label():
    assert problem((1, 64, 56, 56), (64, 64, 3, 3), padding=1).label == (
        "conv2d_f32_nchw_n1_c64_56x56_k64_3x3_s1_p1_d1_g1"
    )
    full = problem(
        (2, 9, 7, 4),
        dtype="float64",
        layout="channels_last",
        stride=(1, 2),
        padding=((1, 2), (0, 3)),
        padding_mode="reflect",
        bias_shape=(6,),
        residual_shape=(2, 10, 4, 6),
        activation="leaky_relu",
        precision="strict",
    )
    assert full.label == (
        "conv2d_f64_nhwc_n2_c4_9x7_k6_3x3_s1x2_p1-2x0-3_d1_g1_reflect_bias_residual_leaky_relu_0.01_strict"
    )
    assert dataclasses.replace(problem(), pass_="weight_grad").label.endswith("_g1_weight_grad")


problems = st.builds(
    lambda hw, groups, bias, **options: problem(
        (1, 2, *hw), (2, 2 // groups, 1, 1), groups=groups, bias_shape=(2,) if bias else None, **options
    ),
    st.sampled_from([(5, 6), (6, 5)]),
    st.sampled_from([1, 2]),
    st.booleans(),
    dtype=st.sampled_from(["float32", "float64", "float16", "bfloat16"]),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.tuples(*[st.tuples(st.integers(0, 1), st.integers(0, 1))] * 2),
    padding_mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    activation=st.sampled_from([None, "relu", "relu6", "leaky_relu", ("leaky_relu", 0.2)]),
    precision=st.sampled_from(["strict", "default", "fast"]),
)


@given(problems, problems)
def test_labels_and_hashes_tell_problems_apart(one, other):
    assume(one != other)
    assert one.label != other.label
    assert len({one, other, dataclasses.replace(one)}) == 2


def test_problems_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem().n = 3
    assert not hasattr(problem(), "__dict__")
    assert Problem("conv2d", 1, 1, 1, 1, 1, 1, 1, (1, 1), ((0, 0), (0, 0)), (1, 1), 1) == problem(
        (1, 1, 1, 1), (1, 1, 1, 1)
    )


# What is refused, and how

WRONG = {
    "stride float": ({"stride": 1.0}, TypeError, r"stride must be an int or 2 ints, not 1.0 \(float\)"),
    "stride nan": ({"stride": math.nan}, TypeError, "stride must be an int or 2 ints, not nan"),
    "stride bool": ({"stride": True}, TypeError, "stride must be an int or 2 ints, not True"),
    "stride numpy bool": ({"stride": np.True_}, TypeError, "stride must be an int"),
    "stride none": ({"stride": None}, TypeError, "stride must be an int"),
    "stride string": ({"stride": "1"}, TypeError, "stride must be an int"),
    "stride array": ({"stride": np.array([1, 1])}, TypeError, "stride must be an int"),
    "stride 0": ({"stride": 0}, ValueError, "stride must be at least 1, got 0"),
    "stride (1, -1)": ({"stride": (1, -1)}, ValueError, r"stride\[1\] must be at least 1, got -1"),
    "stride (1, 1.0)": ({"stride": (1, 1.0)}, TypeError, r"stride\[1\] must be an int, not 1.0"),
    "stride one entry": ({"stride": (1,)}, ValueError, "stride must have 2 ints, got 1"),
    "stride three": ({"stride": [1, 1, 1]}, ValueError, "stride must have 2 ints, got 3"),
    "stride huge": ({"stride": 2**70}, ValueError, "stride must be at most"),
    "dilation 0": ({"dilation": 0}, ValueError, "dilation must be at least 1"),
    "dilation float": ({"dilation": (1.5, 1)}, TypeError, r"dilation\[0\] must be an int"),
    "groups float": ({"groups": 2.0}, TypeError, "groups must be an int, not 2.0"),
    "groups tuple": ({"groups": (1,)}, TypeError, "groups must be an int"),
    "groups 0": ({"groups": 0}, ValueError, "groups must be at least 1"),
    "groups and c": ({"groups": 3}, ValueError, "groups=3 must divide x's 4 channels"),
    "groups and k": (
        {"groups": 4, "weight_shape": (6, 1, 3, 3)},
        ValueError,
        "groups=4 must divide weight's 6 output channels",
    ),
    "weight channels": (
        {"x_shape": (1, 64, 9, 7), "weight_shape": (6, 32, 3, 3)},
        ValueError,
        r"conv2d: weight has 32 input channels a group \(weight.shape\[1\]\), but x has 64 channels and "
        "groups=1, so it must have 64",
    ),
    "padding negative": ({"padding": -1}, ValueError, "padding must be at least 0, got -1"),
    "padding pair negative": ({"padding": ((0, 0), (0, -1))}, ValueError, r"padding\[1\]\[1\] must be at"),
    "padding float": ({"padding": (1.0, 1)}, TypeError, r"padding\[0\] must be an int"),
    "padding none": ({"padding": None}, TypeError, "padding must be"),
    "padding flat": ({"padding": (1, 1, 1, 1)}, ValueError, r"padding must be .* pairs"),
    "padding mixed": ({"padding": ((1, 1), 1)}, ValueError, r"padding must be .* pairs"),
    "padding triple": ({"padding": ((1, 1, 1), (1, 1, 1))}, ValueError, r"padding\[0\] must have 2 ints"),
    "padding empty": ({"padding": ()}, ValueError, "padding must be"),
    "padding full": ({"padding": "full"}, ValueError, "padding must be one of 'valid', 'same', .*got 'full'"),
    "padding reflect": (
        {"padding": ((0, 0), (7, 0)), "padding_mode": "reflect"},
        ValueError,
        r"padding \(7, 0\) must be less than x's width 7 with padding_mode='reflect'",
    ),
    "padding circular": (
        {"padding": ((0, 10), (0, 0)), "padding_mode": "circular"},
        ValueError,
        r"padding \(0, 10\) must be at most x's height 9 with padding_mode='circular'",
    ),
    "same too far": (
        {"padding": "same", "dilation": 20, "padding_mode": "circular"},
        ValueError,
        "padding .* must be at most x's height 9",
    ),
    "padding huge": ({"padding": sys.maxsize}, ValueError, "padding .* too large to address"),
    "output huge": ({"padding": 2**31}, ValueError, "padding .* output .* too large to address"),
    "output huge, batch empty": (
        {"x_shape": (0, 4, 9, 7), "padding": 2**31},
        ValueError,
        "padding .* output .* too large to address",
    ),
    "kernel too large": (
        {"dilation": (1, 4), "padding": ((0, 0), (1, 0))},
        ValueError,
        r"weight spans 9 of the width \(kernel 3, dilation 4\), but x has only 8 \(7 and padding \(1, 0\)\)",
    ),
    "padding_mode unknown": (
        {"padding_mode": "edge"},
        ValueError,
        "padding_mode must be one of .*got 'edge'",
    ),
    "padding_mode none": ({"padding_mode": None}, TypeError, "padding_mode must be one of"),
    "layout unknown": (
        {"layout": "NCHW"},
        ValueError,
        "layout must be one of 'channels_first', 'channels_la",
    ),
    "precision unknown": (
        {"precision": "high"},
        ValueError,
        "precision must be one of 'strict', 'default', ",
    ),
    "activation unknown": ({"activation": "mish"}, ValueError, "activation must be one of 'relu', .*'mish'"),
    "activation callable": ({"activation": np.tanh}, TypeError, "activation must be None, a name or"),
    "activation with slope": ({"activation": ("relu", 0.1)}, ValueError, "activation takes a parameter only"),
    "activation bare tuple": ({"activation": ("leaky_relu",)}, ValueError, "activation takes a parameter"),
    "slope nan": ({"activation": ("leaky_relu", math.nan)}, ValueError, "activation's slope must be finite"),
    "slope inf": ({"activation": ("leaky_relu", -math.inf)}, ValueError, "activation's slope must be finite"),
    "slope huge": ({"activation": ("leaky_relu", 10**400)}, ValueError, "activation's slope must be finite"),
    "slope string": ({"activation": ("leaky_relu", "0.1")}, TypeError, "activation's slope must be a real"),
    "slope bool": ({"activation": ("leaky_relu", True)}, TypeError, "activation's slope must be a real"),
    "slope complex": ({"activation": ("leaky_relu", 1j)}, TypeError, "activation's slope must be a real"),
    "x empty": ({"x_shape": (2, 4, 0, 7)}, ValueError, r"x has no height \(shape \(2, 4, 0, 7\)\)"),
    "x empty, last": (
        {"x_shape": (2, 9, 7, 0), "layout": "channels_last"},
        ValueError,
        "x has no channels .*only the batch axis may be empty",
    ),
    "weight empty": ({"weight_shape": (0, 4, 3, 3)}, ValueError, "weight has no output channels"),
    "weight empty window": ({"weight_shape": (6, 4, 3, 0)}, ValueError, "weight has no width"),
    "x_shape short": ({"x_shape": (4, 9, 7)}, ValueError, "x_shape must have 4 ints, got 3"),
    "x_shape float": ({"x_shape": (2, 4, 9, 7.0)}, TypeError, r"x_shape\[3\] must be an int"),
    "x_shape int": ({"x_shape": 5}, TypeError, "x_shape must be a tuple or list"),
    "weight_shape long": ({"weight_shape": (6, 4, 3, 3, 3)}, ValueError, "weight_shape must have 4 ints"),
    "bias shape": ({"bias_shape": (6, 1)}, ValueError, r"bias must have shape \(6,\).*got \(6, 1\)"),
    "residual shape": (
        {"residual_shape": (2, 6, 7, 7)},
        ValueError,
        r"residual must have the output's shape \(2, 6, 7, 5\).*got \(2, 6, 7, 7\)",
    ),
    "dtype int": ({"dtype": np.int32}, TypeError, "dtype must be float32"),
}


@pytest.mark.parametrize(("options", "error", "message"), WRONG.values(), ids=WRONG)
def test_what_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        problem(**options)
