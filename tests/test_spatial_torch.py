"""conv1d and conv3d against PyTorch in float64, every pass; FASTCONV_RANDOM_PROBLEMS sets how many problems."""

import os

import numpy as np
import pytest
from arrays import DTYPES, assert_near, integers, layout_of

import fastconv as fc

torch = pytest.importorskip("torch")
COUNT = int(os.environ.get("FASTCONV_RANDOM_PROBLEMS", "60"))


def draw(rng, axes):
    """One random problem; None if its kernel does not fit."""
    groups = int(rng.choice([1, 1, 2, 4]))
    c = groups * int(rng.integers(1, 12))
    if rng.random() < 0.25:
        groups = c
    k = groups * int(rng.integers(1, 3 if groups == c else 24))
    most = 60 if axes == 1 else 9
    sizes = rng.integers(1, most + 1, axes).tolist()
    kernel = rng.choice([1, 1, 2, 3, 3, 5], axes).tolist()
    stride, dilation = (rng.choice([1, 1, 1, 2, 3], axes).tolist() for _ in range(2))
    mode = str(rng.choice(["zeros", "zeros", "reflect", "replicate", "circular"]))
    limit = [{"reflect": size - 1, "circular": size}.get(mode, 4) for size in sizes]
    pads = [rng.integers(0, min(high, 4) + 1, 2).tolist() for high in limit]
    spans = zip(sizes, pads, kernel, dilation, strict=True)
    if any(size + sum(pad) <= (taps - 1) * d for size, pad, taps, d in spans):
        return None
    n = int(rng.integers(1, 4))
    return (n, c, *sizes), (k, c // groups, *kernel), stride, dilation, groups, pads, mode


def reference(x, w, bias, dy, pads, mode, *options):
    """y, dx, dw of float64 copies, padding as torch does it; dy(shape) makes the gradient."""
    x, w = (torch.from_numpy(a.astype(np.float64)).requires_grad_() for a in (x, w))
    padded = x
    if any(map(any, pads)):
        flat = [p for pair in reversed(pads) for p in pair]
        padded = torch.nn.functional.pad(x, flat, mode={"zeros": "constant"}.get(mode, mode))
    conv = torch.nn.functional.conv1d if x.ndim == 3 else torch.nn.functional.conv3d
    stride, dilation, groups = options
    y = conv(padded, w, torch.from_numpy(bias.astype(np.float64)), stride, 0, dilation, groups)
    made = dy(tuple(y.shape))
    y.backward(torch.from_numpy(made.astype(np.float64)))
    return made, y.detach().numpy(), x.grad.numpy(), w.grad.numpy()


@pytest.mark.parametrize("axes", [1, 3])
def test_random_problems(axes):
    rng = np.random.default_rng(axes)
    op = f"conv{axes}d"
    conv, input_grad, weight_grad = (getattr(fc, op + what) for what in ("", "_input_grad", "_weight_grad"))
    done = 0
    while done < COUNT:
        problem = draw(rng, axes)
        if problem is None:
            continue
        done += 1
        x_shape, w_shape, stride, dilation, groups, pads, mode = problem
        dtype = DTYPES[str(rng.choice(sorted(DTYPES)))]
        x, w, bias = (integers(rng, shape, dtype, 1) for shape in (x_shape, w_shape, w_shape[:1]))

        def random(shape, dtype=dtype):
            return integers(rng, shape, dtype, 1)

        dy, *right = reference(x, w, bias, random, pads, mode, stride, dilation, groups)
        layout = str(rng.choice(["channels_first", "channels_last"]))
        x, dy, right[0], right[1] = (layout_of(a, layout) for a in (x, dy, right[0], right[1]))
        if rng.random() < 0.3:
            x = np.repeat(x, 2, axis=-1)[..., ::2]
        precision = str(rng.choice(["strict", "default", "fast"]))
        options = {"stride": stride, "padding": pads, "dilation": dilation, "groups": groups, "padding_mode": mode,
                   "layout": layout, "precision": precision}  # fmt: skip
        for what, call, expected in (
            ("", lambda **o: conv(x, w, bias, **o), right[0]),  # noqa: B023
            ("_input_grad", lambda **o: input_grad(dy, w, x.shape, **o), right[1]),  # noqa: B023
            ("_weight_grad", lambda **o: weight_grad(dy, x, w.shape, **o), right[2]),  # noqa: B023
        ):
            algorithm = str(rng.choice(["auto", *fc.algorithms(op + what)]))
            try:
                got = call(algorithm=algorithm, **options)
            except ValueError as refused:
                assert algorithm != "auto" and "cannot do" in str(refused)
                got = call(**options)
            times = {"strict": 1, "default": 16, "fast": 64}[precision]
            label = f"{op}{what} {algorithm} {problem} {layout} {dtype}"
            assert_near(got, expected, 9 * (x.size // x_shape[0]), times, label)
