"""Every member of Winograd's family on every kind of problem and memory, against the oracle."""

import re
import sys

import naive
import numpy as np
import pytest
from arrays import DTYPES, layout_of
from forced import MATRIX, MEMBERS, label, member, name_of, only, times_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_properties import view_of

import fastconv as fc

# Some of every kind; all of them in all types would compile for a minute.
WORDS = ("4x4k3x3", "6x6k3x3", "2x2k3x3", "5x5k3x3", "4x4k5x5", "2x2k7x7", "3x3k4x4", "4x4k2x2", "4x4k2x3", "2x2k5x3",
         "1x4k1x3", "6x1k3x1", "1x2k1x7", "4x1k2x1", "4x4k3x3s2x2", "2x2k3x3s2x2", "3x3k5x5s2x2", "3x3k4x4s2x2",
         "1x4k1x3s1x2")  # fmt: skip
SOME = [member(word) for word in WORDS]
ALSO = [which for which in MATRIX if which.variant in WORDS]  # on matrix tiles
ACTIVATIONS = [None, "relu", "relu6", "leaky_relu", ("leaky_relu", 0.25), "sigmoid", "tanh", "silu", "hardswish",
               "gelu"]  # fmt: skip


def check(y, x, w, bias, residual, times, **options):
    """`times` the bound of a plain sum, of the largest sum; and y's own rounding, and that of its activation."""
    exact = naive.conv2d(x, w, bias, residual=residual, **options)
    sizes = naive.conv2d(abs(x), abs(w), None if bias is None else abs(bias),
                         residual=None if residual is None else abs(residual),
                         **{**options, "activation": None})  # fmt: skip
    assert y.dtype == x.dtype and y.shape == exact.shape
    if not y.size:
        return
    narrow = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(x.dtype.name)
    eps = np.finfo(np.float64 if x.dtype == np.float64 else np.float32).eps
    bound = times * eps * (2 + np.sqrt(w[0].size + 2) / 2) * sizes.max()
    error = np.abs(y.astype(np.float64) - exact)
    assert np.all(error <= bound + (narrow or 8 * eps) * np.abs(exact)), (error.max(), bound)


@pytest.mark.parametrize("which", MEMBERS + MATRIX, ids=label)
def test_every_member(rng, which):
    """More tiles than one, the last of them cut off, tails of channels."""
    x, w, bias = (rng.normal(size=s) for s in ((2, 5, 10 * which.sh, 13 * which.sw), (19, 5, which.r, which.s), 19))
    padding = ((which.r // 2, which.r - 1), (which.s - 1, which.s // 2))
    with only(which):
        for dtype in ("float32", "float64") if which in SOME else ("float32",):
            for layout in ("channels_first", "channels_last"):
                operands = [a.astype(dtype) for a in (layout_of(x, layout), w, bias)]
                options = {"stride": (which.sh, which.sw), "padding": padding, "layout": layout, "activation": "relu6"}
                y = fc.conv2d(*operands, algorithm=name_of(which), **options)
                check(y, *operands, None, times_of(which), **options)


def memory_of(x, kind, layout):
    """x with awkward memory; "other" has that of the other layout, "rows" negative steps of images and rows."""
    order = (0, 2, 3, 1) if layout == "channels_first" else (0, 3, 1, 2)
    if kind == "other":
        return np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
    if kind == "rows":
        h = 2 if layout == "channels_first" else 1
        return np.flip(np.ascontiguousarray(np.flip(x, (0, h))), (0, h))
    if kind == "padded":
        large = np.full([size + 3 for size in x.shape], np.nan).astype(x.dtype)
        inner = large[tuple(slice(2, 2 + size) for size in x.shape)]
        inner[...] = x
        return inner
    return view_of(x, kind)


@st.composite
def problems(draw):
    """A member and a problem for it: many that no tile fits, and every option."""
    which = draw(st.sampled_from(SOME + ALSO))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    per_group = draw(st.sampled_from([1, 2, 3, 15, 16, 17, 33] if groups == 1 else [2, 3, 17]))
    outputs = groups * draw(st.sampled_from([1, 3, 8, 17, 33]))
    stride = which.sh, which.sw
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 3), (4, 1)])) if stride == (1, 1) else (1, 1)
    mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    h, w = draw(st.integers(1, 14 * stride[0])), draw(st.integers(1, 22 * stride[1]))

    def pads(size, taps, step):
        most = {"reflect": size - 1, "circular": size}.get(mode, 9)
        least = max(0, (taps - 1) * step + 1 - size)
        before = draw(st.integers(0, min(most, 9)))
        return before, max(least - before, draw(st.integers(0, min(most, 9))))

    padding = pads(h, which.r, dilation[0]), pads(w, which.s, dilation[1])
    if mode != "zeros" and any(max(p) > {"reflect": s - 1, "circular": s}.get(mode, 99)
                               for p, s in zip(padding, (h, w), strict=True)):  # fmt: skip
        mode = "replicate"
    return {
        "member": which,
        "x": (draw(st.sampled_from([0, 1, 1, 3])), groups * per_group, h, w),
        "w": (outputs, per_group, which.r, which.s),
        "options": {"padding": padding, "dilation": dilation, "groups": groups, "padding_mode": mode, "stride": stride,
                    "layout": draw(st.sampled_from(["channels_first", "channels_last"])),
                    "activation": draw(st.sampled_from(ACTIVATIONS))},
        "dtype": draw(st.sampled_from(sorted(set(DTYPES) - {"float64"} if which.matrix else DTYPES))),
        "memory": draw(st.sampled_from(["plain", "other", "rows", "padded", "unaligned", "read_only", "gaps"])),
        "bias": draw(st.booleans()),
        "residual": draw(st.booleans()),
        "out": draw(st.sampled_from(["none", "fresh", "gaps", "over_residual"])),
        "unbatched": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }  # fmt: skip


@settings(max_examples=250)
@given(problems())
def test_any_problem(problem):
    rng = np.random.default_rng(problem["seed"])
    dtype, options = DTYPES[problem["dtype"]], problem["options"]
    x = layout_of(rng.normal(size=problem["x"]), options["layout"]).astype(dtype)
    x = memory_of(x, problem["memory"], options["layout"])
    w = rng.normal(size=problem["w"]).astype(dtype)
    bias = rng.normal(size=len(w)).astype(dtype) if problem["bias"] else None
    if problem["unbatched"] and len(x):
        x = x[0]
    shape = naive.conv2d(x, w, **options).shape
    residual = rng.normal(size=shape).astype(dtype) if problem["residual"] else None
    out, given_residual = None, residual
    if problem["out"] == "fresh":
        out = np.full(shape, np.nan).astype(dtype)
    elif problem["out"] == "gaps":
        out = np.full([2 * size for size in shape], np.nan).astype(dtype)[tuple(slice(None, None, 2) for _ in shape)]
    elif problem["out"] == "over_residual" and residual is not None:
        out = given_residual = residual.copy()
    before = x.copy()
    with only(problem["member"]):
        try:
            y = fc.conv2d(x, w, bias, residual=given_residual, out=out, algorithm=name_of(problem["member"]),
                          **options)  # fmt: skip
        except ValueError as refused:
            column = problem["x"][3] == 1 and re.search("no member for a kernel of 1x|stride", str(refused))
            assert column or (problem["memory"] == "gaps" and "contiguous" in str(refused))
            return
    assert out is None or y is out
    np.testing.assert_array_equal(x, before)
    check(y, x, w, bias, residual, times_of(problem["member"]), **options)


@pytest.mark.parametrize("memory", ["other", "rows", "padded"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_views_are_read_in_place(rng, layout, memory):
    """And give the bits that contiguous arrays give."""
    x = layout_of(rng.normal(size=(2, 19, 9, 14)), layout).astype(np.float32)
    w = rng.normal(size=(21, 19, 3, 3)).astype(np.float32)
    options = {"padding": 1, "layout": layout, "algorithm": "winograd"}
    view = memory_of(x, memory, layout)
    assert not view.flags.c_contiguous
    np.testing.assert_array_equal(fc.conv2d(view, w, **options), fc.conv2d(x, w, **options))


@pytest.mark.parametrize(
    ("x", "w", "options", "reason"),
    [
        ((1, 4, 9, 9), (5, 4, 3, 3), {"stride": 3}, "stride"),
        ((1, 4, 9, 9), (5, 4, 3, 3), {"stride": (2, 1)}, "stride"),
        ((1, 4, 9, 9), (5, 4, 3, 3), {"stride": 2, "dilation": 2}, "stride with dilation"),
        ((1, 4, 9, 9), (5, 4, 3, 3), {"stride": (1, 2)}, "no member for a kernel of 3x3 at stride 1x2"),
        ((1, 4, 9, 9), (5, 4, 2, 2), {"stride": 2}, "no member for a kernel of 2x2 at stride 2x2"),
        ((1, 4, 9, 9), (5, 4, 1, 1), {}, "no member for a kernel of 1x1"),
        ((1, 4, 9, 9), (5, 4, 6, 6), {}, "no member for a kernel of 6x6"),
        ((1, 4, 9, 9), (5, 4, 7, 7), {}, "no member for a kernel of 7x7 within precision='default'"),
        ((1, 4, 9, 9), (4, 1, 3, 3), {"groups": 4}, "fewer than 4 input channels"),
        (
            (1, 2048, 3, 400),
            (5, 2048, 3, 3),
            {"padding": "same", "dilation": (1, 400)},
            "the tiles of one window take more than 48 MiB",
        ),
        ((1, 3, 9, 9), (5, 3, 3, 3), {}, "fewer than 4 input channels"),
        ((1, 4, 9, 9), (5, 4, 3, 3), {"precision": "strict"}, "precision='strict' keeps to plain sums"),
    ],
)
def test_refusals_say_why_and_what_can(x, w, options, reason):
    with pytest.raises(ValueError, match=r"algorithm: 'winograd' cannot do .*these can: .*'im2col'") as refused:
        fc.conv2d(np.zeros(x, np.float32), np.zeros(w, np.float32), algorithm="winograd", **options)
    assert reason in str(refused.value)


def test_fast_has_members_for_seven_taps(rng):
    x, w = rng.normal(size=(1, 4, 9, 9)), rng.normal(size=(5, 4, 7, 7))
    y = fc.conv2d(x, w, padding=3, algorithm="winograd", precision="fast")
    check(y, x, w, None, None, 64, padding=3)


GUARDED = ["4x4k3x3", "6x6k3x3", "2x2k5x5", "1x4k1x3", "4x1k4x1", "4x4k3x3s2x2", "1x4k1x5s1x2"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("which", GUARDED)
def test_no_access_outside(rng, which, dtype, layout, at_end):
    from guard import guarded

    which, dtype = member(which), DTYPES[dtype]
    # Tails of channels on both sides, images smaller than a tile, groups that end within a vector.
    for c, k, h, w, groups, activation in (
        (1, 1, 5, 6, 1, None),
        (3, 17, 7, 5, 1, "relu"),
        (17, 33, 9, 18, 1, None),
        (16, 16, 8, 8, 1, "gelu"),
        (6, 34, 1, 19, 2, "relu6"),
    ):
        options = {"padding": (which.r // 2, which.s // 2), "layout": layout, "groups": groups,
                   "activation": activation, "stride": (which.sh, which.sw)}  # fmt: skip
        x = layout_of(rng.normal(size=(2, c, h, w)), layout).astype(dtype)
        weight, bias = (rng.normal(size=s).astype(dtype) for s in ((k, c // groups, which.r, which.s), k))
        shape = naive.conv2d(x, weight, **options).shape
        for residual in (None, rng.normal(size=shape).astype(dtype)):
            held = [None if a is None else guarded(a, at_end) for a in (x, weight, bias, residual)]
            out = guarded(np.zeros(shape, dtype), at_end)
            with only(which):
                fc.conv2d(*held[:3], residual=held[3], algorithm=name_of(which), out=out, **options)
            check(out, x, weight, bias, residual, times_of(which), **options)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs mprotect")
@pytest.mark.parametrize("at_end", [True, False], ids=["end", "start"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_no_access_outside_of_the_other_layouts_memory(rng, layout, at_end):
    from guard import guarded

    order = (0, 2, 3, 1) if layout == "channels_first" else (0, 3, 1, 2)
    for c, h, w in ((3, 5, 7), (18, 9, 17)):
        x = layout_of(rng.normal(size=(1, c, h, w)), layout).astype(np.float32)
        weight = rng.normal(size=(5, c, 3, 3)).astype(np.float32)
        view = guarded(np.ascontiguousarray(x.transpose(order)), at_end).transpose(np.argsort(order))
        for which in [member("4x4k3x3"), *(which for which in ALSO if which.variant == "4x4k3x3")]:
            with only(which):
                y = fc.conv2d(view, weight, padding=1, layout=layout, algorithm=name_of(which))
            check(y, x, weight, None, None, 16, padding=1, layout=layout)
