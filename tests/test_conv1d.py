"""conv1d is conv2d of height 1: to the bit, in every pass, layout and dtype; long kernels; errors."""

import naive
import numpy as np
import pytest
from arrays import DTYPES, integers, layout_of, rounded

import fastconv as fc

LAYOUTS = ("channels_first", "channels_last")
# (label, x (n, c, l), weight, options)
CASES = [
    ("plain", (2, 5, 40), (7, 5, 3), {"padding": 1}),
    ("strided", (2, 15, 41), (15, 15, 3), {"padding": 1, "stride": 2}),
    ("causal", (1, 6, 50), (8, 6, 2), {"padding": ((8, 0),), "dilation": 8}),
    ("dilated_far", (1, 4, 600), (5, 4, 2), {"dilation": 512}),
    ("point", (3, 20, 33), (17, 20, 1), {}),
    ("point_strided", (1, 20, 33), (17, 20, 1), {"stride": 3}),
    ("grouped", (1, 12, 30), (8, 3, 5), {"groups": 4, "padding": 2}),
    ("depthwise", (2, 19, 45), (19, 1, 31), {"groups": 19, "padding": 15}),
    ("depthwise_strided", (1, 19, 45), (19, 1, 3), {"groups": 19, "stride": 2}),
    ("one_place", (4, 9, 1), (6, 9, 1), {}),
    ("same", (1, 3, 29), (4, 3, 4), {"padding": "same", "stride": 3}),
    ("reflect", (1, 3, 12), (4, 3, 7), {"padding": 5, "padding_mode": "reflect"}),
    ("circular", (2, 3, 12), (4, 3, 7), {"padding": ((12, 3),), "padding_mode": "circular", "stride": 2}),
    ("replicate", (1, 3, 2), (4, 3, 3), {"padding": 9, "padding_mode": "replicate"}),
    ("first", (1, 1, 400), (16, 1, 10), {"stride": 5}),
    ("long", (1, 2, 1400), (3, 2, 1301), {}),
    ("very_long", (1, 1, 4130), (2, 1, 4096), {}),
]  # fmt: skip
IDS = [case[0] for case in CASES]


def operands(rng, case, layout, dtype):
    """x, w, bias, dy."""
    _, x_sizes, w_shape, options = case
    where = (options.get(name, default) for name, default in (("stride", 1), ("padding", 0), ("dilation", 1)))
    y_sizes = (x_sizes[0], w_shape[0], *naive.output_sizes(x_sizes[2:], w_shape[2:], *where))
    x, w, b, dy = (integers(rng, shape, dtype, 1) for shape in (x_sizes, w_shape, w_shape[:1], y_sizes))
    return layout_of(x, layout), w, b, layout_of(dy, layout)


def planar(a, layout):
    """A signal as an image of height 1."""
    return a[:, None] if layout == "channels_last" else a[:, :, None]


def planar_options(options):
    """The options of conv2d."""
    found = dict(options)
    for name, none in (("stride", 1), ("dilation", 1)):
        if name in found:
            found[name] = (none, found[name])
    padding = found.get("padding", 0)
    if not isinstance(padding, str):
        found["padding"] = ((0, 0), padding[0] if isinstance(padding, tuple) else (padding, padding))
    return found


@pytest.mark.checkerboard
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_every_pass(rng, case, layout, dtype):
    """By the oracle, and the same bits as conv2d's."""
    x, w, b, dy = operands(rng, case, layout, DTYPES[dtype])
    options = {**case[3], "layout": layout}
    for precision in ("strict", "default"):
        chosen = {**options, "precision": precision}
        flat = planar_options(chosen)
        found = {
            "y": fc.conv1d(x, w, b, activation="relu", **chosen), "layer": fc.Conv1d(w, b, **chosen)(x),
            "dx": fc.conv1d_input_grad(dy, w, x.shape, **chosen), "dw": fc.conv1d_weight_grad(dy, x, w.shape, **chosen),
        }  # fmt: skip
        args = planar(x, layout), w[:, :, None], b
        same = {
            "y": fc.conv2d(*args, activation="relu", **flat), "layer": fc.Conv2d(*args[1:], **flat)(args[0]),
            "dx": fc.conv2d_input_grad(planar(dy, layout), args[1], args[0].shape, **flat),
            "dw": fc.conv2d_weight_grad(planar(dy, layout), args[0], args[1].shape, **flat),
        }  # fmt: skip
        for name, result in found.items():
            np.testing.assert_array_equal(result, same[name].reshape(result.shape), err_msg=name)
        if precision == "strict":
            right = {
                "y": naive.conv(x, w, b, activation="relu", **options), "layer": naive.conv(x, w, b, **options),
                "dx": naive.input_grad(dy, w, x.shape, **options), "dw": naive.weight_grad(dy, x, w.shape, **options),
            }  # fmt: skip
            for name, result in found.items():
                np.testing.assert_array_equal(result, rounded(right[name], DTYPES[dtype]), err_msg=name)
    # Weights that are packed may be worth another algorithm: sums are compared.
    options["precision"] = "strict"
    both = fc.Conv1d(w, b, **options).backward(dy, x)
    np.testing.assert_array_equal(both.input, fc.conv1d_input_grad(dy, w, x.shape, **options))
    again = fc.conv1d_backward(dy[0], x[0], w, **options)
    np.testing.assert_array_equal(again.bias, rounded(naive.bias_grad(dy[0], layout, 1), DTYPES[dtype]))
    assert again.input.shape == x.shape[1:]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_views_and_out(rng, layout):
    x, w, b, _ = operands(rng, CASES[1], layout, DTYPES["float32"])
    options = {**CASES[1][3], "layout": layout}
    y = fc.conv1d(x, w, b, **options)
    wide = np.zeros((3, 30, 90), np.float32)
    view = (
        wide[: x.shape[0], : 2 * x.shape[1] : 2, : 2 * x.shape[2] : 2][::-1, :, ::-1]
        if x.shape[1] <= 15
        else x.copy("F")
    )
    view[...] = x
    np.testing.assert_array_equal(fc.conv1d(view, w, b, **options), y)
    np.testing.assert_array_equal(fc.conv1d(x[0], w, b, **options), y[0])
    out = np.zeros_like(y)
    assert fc.conv1d(x, w, b, out=out, **options) is out
    np.testing.assert_array_equal(out, y)


@pytest.mark.parametrize("s", [2, 641, 1001, 1281, 4096])
def test_long_kernels_are_exact(rng, s):
    """Chunks of a row of taps are added up in their order."""
    x, w = rng.integers(-2, 3, (1, 3, s + 70)).astype(np.float32), rng.integers(-2, 3, (5, 3, s)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x[0].astype(np.float64), s, axis=1)
    right = np.einsum("cls,kcs->kl", windows, w.astype(np.float64))
    for name in ("direct", "im2col"):
        np.testing.assert_array_equal(fc.conv1d(x, w, algorithm=name)[0], right)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, w: fc.conv1d(x[0, 0], w), "x must have 2 or 3 axes"),
        (lambda x, w: fc.conv1d(x, w[0]), "weight must have 3 axes"),
        (lambda x, w: fc.conv1d(x, w, stride=(1, 2)), "conv1d: stride must have 1 int, got 2"),
        (lambda x, w: fc.conv1d(x, w, padding=(1, 2)), "1 \\(before, after\\) pair "),
        (lambda x, w: fc.conv1d(x, w, dilation=9), "conv1d: weight spans 19 of the length"),
        (lambda x, w: fc.conv1d(x, w, padding=9, padding_mode="reflect"), "x's length 9"),
        (lambda x, w: fc.conv1d(x, w, algorithm="depthwise"), "conv1d_f32.*these can"),
        (lambda x, w: fc.Conv1d(w, dilation=0), "conv1d: dilation must be at least 1|dilation must be at least 1"),
        (lambda x, w: fc.conv1d_input_grad(x, w, (1, 3, 5, 5)), "input_shape must have 3 ints"),
        (lambda x, w: fc.conv1d_weight_grad(x, x, w.shape), "grad_output must have the convolution's output shape"),
    ],
)
def test_errors(call, message):
    x, w = np.zeros((1, 3, 9), np.float32), np.zeros((4, 3, 3), np.float32)
    with pytest.raises(ValueError, match=message):
        call(x, w)


def test_explain_and_verbose():
    plan = fc.explain("conv1d", (1, 64, 1000), (64, 64, 3), padding=1)
    assert plan.label.startswith("conv1d_f32_nchw_n1_c64_1000_k64_3_") and plan.flops == 2 * 64 * 64 * 3 * 1000
    assert fc.algorithms("conv1d") == fc.algorithms("conv2d")
