"""Gradients without an oracle: adjoint identities on any problem, finite differences, second derivatives."""

import naive
import numpy as np
import pytest
from arrays import DTYPES, integers, layout_of
from gradients import INPUT, LAYOUTS, OPS, able, run
from hypothesis import given
from test_properties import problems, view_of

import fastconv as fc


@given(problems())
def test_adjoints(problem):
    """<dy, conv(x, w)> = <input_grad(dy, w), x> = <weight_grad(dy, x), w>, exactly, as all are integers."""
    rng = np.random.default_rng(problem["seed"])
    dtype = DTYPES["float32" if problem["dtype"] in ("float32", "float16") else "float64"]
    options = {**problem["options"], "precision": "strict"}
    del options["activation"]
    x_view, w_view, dy_view = (kind.replace("broadcast", "plain") for kind in problem["views"])
    x = view_of(layout_of(integers(rng, problem["x"], dtype), options["layout"]), x_view)
    w = view_of(integers(rng, problem["w"], dtype), w_view)
    y = fc.conv2d(x, w, **options)
    dy = view_of(integers(rng, y.shape, dtype), dy_view)
    kept = [a.copy() for a in (dy, x, w)]
    one = np.vdot(dy, y)
    for op, other in zip(OPS, (x, w), strict=True):
        names = ["auto", *able(op, x, w, **options)] if len(x) else ["auto"]
        algorithm = names[problem["seed"] % len(names)]
        try:
            gradient = run(op, dy, x, w, algorithm=algorithm, out=output_of(problem["out"], other), **options)
        except ValueError as refused:  # a view, which `able` does not know
            assert algorithm != "auto" and "cannot do" in str(refused)
            continue
        assert np.vdot(gradient, other) == one, f"{op} {algorithm}"
    for before, after in zip(kept, (dy, x, w), strict=True):
        np.testing.assert_array_equal(before, after)  # inputs are never changed


def output_of(kind, like):
    """An `out` full of NaN, with or without gaps, or None."""
    if kind == "none":
        return None
    step = 2 if kind == "gaps" else 1
    large = np.full([step * size for size in like.shape], np.nan, like.dtype)
    return large[tuple(slice(None, None, step) for _ in like.shape)]


SMALL = [
    ("plain", (2, 2, 5, 4), (3, 2, 3, 3), {"padding": 1}),
    ("strided", (1, 3, 6, 7), (2, 3, 2, 3), {"stride": (3, 2), "padding": ((0, 1), (2, 0))}),
    ("dilated", (1, 2, 7, 6), (2, 2, 3, 2), {"dilation": 2, "stride": 2, "padding": 2}),
    ("grouped", (2, 4, 4, 4), (6, 2, 2, 2), {"groups": 2, "padding": "same"}),
    ("depthwise", (1, 3, 5, 5), (6, 1, 3, 3), {"groups": 3, "padding": 1, "stride": 2}),
    ("reflect", (1, 2, 4, 5), (2, 2, 3, 3), {"padding": 2, "padding_mode": "reflect"}),
    ("replicate", (1, 2, 3, 4), (2, 2, 3, 3), {"padding": 3, "padding_mode": "replicate", "stride": 2}),
    ("circular", (1, 2, 4, 3), (2, 2, 3, 3), {"padding": ((3, 1), (2, 3)), "padding_mode": "circular"}),
    ("point", (2, 3, 3, 4), (4, 3, 1, 1), {"stride": 2}),
]
SMALL_IDS = [case[0] for case in SMALL]


def small_case(rng, case, layout):
    """x, w, bias and options in float64."""
    _, x_sizes, w_shape, options = case
    x, w, bias = (rng.normal(size=size) for size in (x_sizes, w_shape, w_shape[:1]))
    return layout_of(x, layout), w, bias, {**options, "layout": layout}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", SMALL, ids=SMALL_IDS)
def test_finite_differences(rng, case, layout):
    """Of a loss that is no polynomial of low degree: the sum of cosines of the result."""
    x, w, bias, options = small_case(rng, case, layout)

    def loss(*operands):
        return np.cos(fc.conv2d(*operands, **options)).sum()

    gradients = fc.conv2d_backward(-np.sin(fc.conv2d(x, w, bias, **options)), x, w, **options)
    for operand, gradient in zip((x, w, bias), gradients, strict=True):
        expected, step = np.empty_like(operand), 1e-5
        for index in np.ndindex(operand.shape):
            before = operand[index]
            operand[index] = before + step
            more = loss(x, w, bias)
            operand[index] = before - step
            expected[index] = (more - loss(x, w, bias)) / (2 * step)
            operand[index] = before
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("case", SMALL, ids=SMALL_IDS)
def test_second_derivatives_are_compositions(rng, case, layout):
    """The passes are linear in each operand, so their gradients are passes with the roles changed.

    Of <u, input_grad(dy, w)> + <v, weight_grad(dy, x)> with respect to dy, x and w, against PyTorch's double backward.
    """
    torch = pytest.importorskip("torch")
    x, w, _, options = small_case(rng, case, layout)
    dy, u, v = (rng.normal(size=shape) for shape in (fc.conv2d(x, w, **options).shape, x.shape, w.shape))
    by_dy = fc.conv2d(u, w, **options) + fc.conv2d(x, v, **options)
    by_x = fc.conv2d_input_grad(dy, v, x.shape, **options)
    by_w = fc.conv2d_weight_grad(dy, u, w.shape, **options)

    from_numpy = [torch.from_numpy(a.copy()).requires_grad_() for a in (dy, x, w)]
    first = torch.autograd.grad(torch_conv2d(*from_numpy[1:], **options), from_numpy[1:], from_numpy[0],
                                create_graph=True)  # fmt: skip
    second = torch.autograd.grad(first, from_numpy, [torch.from_numpy(u), torch.from_numpy(v)])
    for got, expected in zip((by_dy, by_x, by_w), second, strict=True):
        np.testing.assert_allclose(got, expected.numpy(), rtol=1e-11, atol=1e-11)


def torch_conv2d(x, w, stride=1, padding=0, dilation=1, groups=1, padding_mode="zeros", layout="channels_first"):
    """torch's convolution of tensors with fastconv's options; differentiable."""
    import torch

    if layout == "channels_last":
        y = torch_conv2d(x.permute(0, 3, 1, 2), w, stride, padding, dilation, groups, padding_mode)
        return y.permute(0, 2, 3, 1)
    where = naive.each(stride, 2), naive.each(dilation, 2)
    (top, bottom), (left, right) = naive.resolve_padding(padding, x.shape[2:], w.shape[2:], *where)
    if top or bottom or left or right:
        mode = {"zeros": "constant"}.get(padding_mode, padding_mode)
        x = torch.nn.functional.pad(x, (left, right, top, bottom), mode=mode)
    return torch.nn.functional.conv2d(x, w, None, where[0], 0, where[1], groups)


def test_gradients_are_linear(rng):
    """Powers of two scale every product exactly, in either operand."""
    x, w = rng.normal(size=(2, 7, 9, 11)).astype(np.float32), rng.normal(size=(5, 7, 3, 3)).astype(np.float32)
    dy = rng.normal(size=fc.conv2d(x, w, padding=1).shape).astype(np.float32)
    for op in OPS:
        for algorithm in able(op, x, w, padding=1):
            once = run(op, dy, x, w, padding=1, algorithm=algorithm)
            for scaled in ((4 * dy, x, w), (dy, x, 4 * w) if op == INPUT else (dy, 4 * x, w)):
                np.testing.assert_array_equal(run(op, *scaled, padding=1, algorithm=algorithm), 4 * once)
            unused = (dy, 4 * x, w) if op == INPUT else (dy, x, 4 * w)
            np.testing.assert_array_equal(run(op, *unused, padding=1, algorithm=algorithm), once)
