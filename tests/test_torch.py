"""PyTorch in float64 as a second opinion; FASTCONV_RANDOM_PROBLEMS sets how many problems."""

import os

import numpy as np
import pytest
from arrays import DTYPES, assert_near, integers, rounded
from test_properties import VIEWS, view_of

import fastconv as fc

torch = pytest.importorskip("torch")
COUNT = int(os.environ.get("FASTCONV_RANDOM_PROBLEMS", "200"))


def reference(x, w, bias, pads, mode, stride, dilation, groups):
    """torch.nn.functional.conv2d of float64 copies, padding as torch does it."""
    functional = torch.nn.functional
    x, w = (torch.from_numpy(np.ascontiguousarray(a, np.float64)) for a in (x, w))
    bias = None if bias is None else torch.from_numpy(bias.astype(np.float64))
    (top, bottom), (left, right) = pads
    if any((top, bottom, left, right)):
        name = {"zeros": "constant"}.get(mode, mode)
        x = functional.pad(x, (left, right, top, bottom), mode=name)
    return functional.conv2d(x, w, bias, stride, 0, dilation, groups).numpy()


def draw(rng):
    """One random problem; None if its kernel does not fit."""
    groups = int(rng.choice([1, 1, 2, 4]))
    depthwise = rng.random() < 0.25
    c = int(rng.integers(1, 24)) if depthwise else groups * int(rng.integers(1, 24))
    groups = c if depthwise else groups
    k = groups * int(rng.integers(1, 4 if depthwise else 40))
    r, s = (int(v) for v in rng.choice([1, 1, 2, 3, 3, 5, 7], 2))
    stride, dilation = ([int(v) for v in rng.integers(1, 4, 2)] for _ in range(2))
    n, h, w = int(rng.integers(1, 4)), int(rng.integers(1, 33)), int(rng.integers(1, 49))
    mode = str(rng.choice(["zeros", "zeros", "reflect", "replicate", "circular"]))
    most = {"reflect": min(h, w) - 1, "circular": min(h, w)}.get(mode, 4)
    pads = rng.integers(0, min(most, 4) + 1, (2, 2)).tolist()
    if h + sum(pads[0]) <= (r - 1) * dilation[0] or w + sum(pads[1]) <= (s - 1) * dilation[1]:
        return None
    return (n, c, h, w), (k, c // groups, r, s), stride, dilation, groups, pads, mode


def test_random_problems():
    rng = np.random.default_rng(2026)
    algorithms = ["auto", "auto", *fc.algorithms("conv2d")]
    done = 0
    while done < COUNT:
        problem = draw(rng)
        if problem is None:
            continue
        x_shape, w_shape, stride, dilation, groups, pads, mode = problem
        dtype = DTYPES[str(rng.choice(sorted(DTYPES)))]
        x, w = integers(rng, x_shape, dtype, 2), integers(rng, w_shape, dtype, 2)
        bias = integers(rng, w_shape[:1], dtype) if rng.random() < 0.5 else None
        expected = reference(x, w, bias, pads, mode, stride, dilation, groups)
        last = rng.random() < 0.5
        if last:
            x, expected = np.ascontiguousarray(x.transpose(0, 2, 3, 1)), expected.transpose(0, 2, 3, 1)
        kind = str(rng.choice([v for v in VIEWS if v != "broadcast"]))
        algorithm, precision = str(rng.choice(algorithms)), str(rng.choice(["strict", "strict", "default", "fast"]))
        try:
            y = fc.conv2d(view_of(x, kind), w, bias, stride, pads, dilation, groups, padding_mode=mode,
                          layout="channels_last" if last else "channels_first", algorithm=algorithm,
                          precision=precision)  # fmt: skip
        except ValueError as refused:
            assert algorithm != "auto" and "cannot do" in str(refused)
            continue
        message = f"{problem} {dtype} {kind} {algorithm} {precision} last={last}"
        if precision == "strict":
            np.testing.assert_array_equal(y, rounded(expected, dtype), err_msg=message)
        else:
            assert_near(y, expected, w[0].size, {"default": 16, "fast": 64}[precision], message)
        done += 1
