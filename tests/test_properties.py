"""Random problems over all options and awkward arrays, by hypothesis; the oracle is the judge."""

import naive
import numpy as np
from arrays import DTYPES, assert_near, integers, layout_of, rounded
from hypothesis import given
from hypothesis import strategies as st

import fastconv as fc

VIEWS = ("plain", "transposed", "negative", "fortran", "gaps", "read_only", "unaligned", "unaligned_view", "broadcast")


def view_of(x, kind):
    """An array equal to x (or, for "broadcast", to x's first image repeated) with awkward memory."""
    if kind == "transposed":
        return np.ascontiguousarray(x.transpose(3, 1, 0, 2)).transpose(2, 1, 3, 0)
    if kind == "negative":
        return np.ascontiguousarray(x[::-1, ::-1, ::-1, ::-1])[::-1, ::-1, ::-1, ::-1]
    if kind == "fortran":
        return np.asfortranarray(x)
    if kind == "gaps":
        large = np.full([2 * size + 1 for size in x.shape], np.nan).astype(x.dtype)
        inner = large[tuple(slice(1, None, 2) for _ in x.shape)]
        inner[...] = x
        return inner
    if kind == "read_only":
        x = x.copy()
        x.flags.writeable = False
        return x
    if kind == "unaligned":
        raw = np.zeros(x.nbytes + 1, np.uint8)
        odd = raw[1:].view(x.dtype).reshape(x.shape) if x.size else x
        odd[...] = x
        return odd
    if kind == "unaligned_view":
        return view_of(np.ascontiguousarray(x.transpose(3, 1, 0, 2)[::-1]), "unaligned")[::-1].transpose(2, 1, 3, 0)
    if kind == "broadcast":
        return np.broadcast_to(x[:1], x.shape)
    return x


@st.composite
def problems(draw):
    """Options and sizes of a convolution that fits."""
    groups = draw(st.sampled_from([1, 1, 1, 2, 3, 5]))
    per_group = draw(st.sampled_from([1, 1, 2, 3, 7, 17]))
    outputs = groups * draw(st.sampled_from([1, 2, 3, 5, 16, 19]))
    r, s = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    dilation = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    stride = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    h = draw(st.integers((r - 1) * dilation[0] + 1, (r - 1) * dilation[0] + 12))
    w = draw(st.integers((s - 1) * dilation[1] + 1, (s - 1) * dilation[1] + 24))
    mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    limit = {"zeros": 5, "replicate": 5, "reflect": 4, "circular": 4}[mode]

    def pad(size):
        most = min(limit, size - 1) if mode == "reflect" else min(limit, size) if mode == "circular" else limit
        return st.integers(0, most)

    padding = draw(
        st.one_of(
            st.tuples(st.tuples(pad(h), pad(h)), st.tuples(pad(w), pad(w))),
            st.tuples(pad(h), pad(w)),
            st.just("valid"),
            *([st.sampled_from(["same", "same_upper", "same_lower"])] if mode in ("zeros", "replicate") else []),
        )
    )
    return {
        "x": (draw(st.integers(0, 3)), groups * per_group, h, w),
        "w": (outputs, per_group, r, s),
        "options": {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
                    "padding_mode": mode, "layout": draw(st.sampled_from(["channels_first", "channels_last"])),
                    "activation": draw(st.sampled_from([None, None, "relu", "relu6", ("leaky_relu", 0.5)]))},
        "dtype": draw(st.sampled_from(sorted(DTYPES))),
        "bias": draw(st.booleans()),
        "residual": draw(st.booleans()),
        "views": [draw(st.sampled_from(VIEWS)) for _ in range(3)],
        "out": draw(st.sampled_from(["none", "fresh", "gaps", "is_residual", "over_x"])),
        "algorithm": draw(st.sampled_from(["auto", "auto", *fc.algorithms("conv2d")])),
        "precision": draw(st.sampled_from(["strict", "strict", "default", "fast"])),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }  # fmt: skip


@given(problems())
def test_any_problem(problem):
    rng = np.random.default_rng(problem["seed"])
    dtype, options = DTYPES[problem["dtype"]], problem["options"]
    x = layout_of(integers(rng, problem["x"], dtype, 2), options["layout"])
    x = view_of(x, problem["views"][0])
    w = view_of(integers(rng, problem["w"], dtype, 2), problem["views"][1].replace("broadcast", "plain"))
    bias = integers(rng, problem["w"][:1], dtype) if problem["bias"] else None
    shape = naive.conv2d(np.zeros(x.shape), np.zeros(w.shape), **{**options, "activation": None}).shape
    residual = view_of(integers(rng, shape, dtype), problem["views"][2]) if problem["residual"] else None
    expected = naive.conv2d(x, w, bias, residual=residual, **options)
    precision = problem["precision"]
    out = output_array(problem["out"], x, residual, shape, dtype)
    kept = [a if a is None or (out is not None and np.may_share_memory(a, out)) else (a, a.copy())
            for a in (x, w, bias, residual)]  # fmt: skip
    try:
        y = fc.conv2d(x, w, bias, residual=residual, out=out, algorithm=problem["algorithm"],
                      precision=precision, **options)  # fmt: skip
    except ValueError as refused:
        assert problem["algorithm"] != "auto" and "cannot do" in str(refused)
        return
    assert out is None or y is out
    if precision == "strict":
        np.testing.assert_array_equal(y, rounded(expected, dtype))
    else:
        assert_near(y, expected, w[0].size, {"default": 16, "fast": 64}[precision])
    for pair in kept:
        if isinstance(pair, tuple):
            np.testing.assert_array_equal(*pair)  # inputs are never changed


def output_array(kind, x, residual, shape, dtype):
    """An `out` of the asked kind, or None where it cannot be had."""
    if kind == "fresh":
        return np.empty(shape, dtype)
    if kind == "gaps":
        return np.empty([2 * size for size in shape], dtype)[tuple(slice(None, None, 2) for _ in shape)]
    if kind == "is_residual" and residual is not None and residual.flags.writeable:
        return residual
    if kind == "over_x" and x.shape == shape and x.flags.writeable:
        return x
    return None
