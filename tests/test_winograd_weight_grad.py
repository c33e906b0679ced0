"""Weight gradients by Winograd's algorithm: every member, against sums in float64."""

from contextlib import contextmanager

import numpy as np
import pytest
from arrays import DTYPES, layout_of
from forced import MEMBERS, member, times_of
from guard import guarded
from hypothesis import given, settings
from hypothesis import strategies as st

import fastconv as fc
from fastconv import dispatch
from fastconv.algorithm.winograd.weight_grad import WinogradWeightGrad
from fastconv.operators import conv_grad
from fastconv.target import Target

PLACE = "conv2d", "weight_grad"
SOME = [member(word) for word in ("4x4k3x3", "5x5k3x3", "2x2k3x3", "2x2k5x5", "3x3k2x2", "1x4k1x3", "4x1k3x1",
                                  "4x4k3x3s2x2", "2x2k5x5s2x2", "1x3k1x4s1x2") if member(word) in MEMBERS]  # fmt: skip
F4 = member("4x4k3x3")
NUMPYS = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@contextmanager
def only(which):
    """Within, algorithm="winograd" is this member."""
    before = dispatch.CANDIDATES[PLACE]
    dispatch.CANDIDATES[PLACE] = (WinogradWeightGrad(which),)
    forget()
    try:
        yield
    finally:
        dispatch.CANDIDATES[PLACE] = before
        forget()


def forget():
    """Plan anew from here on."""
    dispatch.execution.cache_clear()
    conv_grad.GRADIENTS.calls.clear()


def exact(dy, x, shape, padding, dilation=(1, 1), groups=1, mode="zeros", stride=(1, 1)):
    """The definition in float64, channels first; and the same sums of absolute values."""
    k, channels, r, s = shape
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *padding), NUMPYS[mode])
    n, _, oh, ow = dy.shape
    dy = dy.astype(np.float64).reshape(n, groups, k // groups, oh, ow)
    dw, sizes = np.zeros(shape), np.zeros(shape)
    for i in range(r):
        for j in range(s):
            top, left = i * dilation[0], j * dilation[1]
            seen = x[:, :, top :: stride[0], left :: stride[1]][:, :, :oh, :ow].reshape(n, groups, channels, oh, ow)
            for found, a, b in ((dw, dy, seen), (sizes, abs(dy), abs(seen))):
                found[:, :, i, j] = np.einsum("ngkhw,ngchw->gkc", a, b, optimize=True).reshape(k, channels)
    return dw, sizes


def check(found, dy, x, times, **options):
    """`times` the bound of a plain sum, of the largest sum; and the result's own rounding."""
    dw, sizes = exact(dy, x, found.shape, **options)
    products = dy.size // dy.shape[1]
    narrow = {"float16": 2.0**-10, "bfloat16": 2.0**-7}.get(found.dtype.name, 0)
    eps = np.finfo(np.float64 if found.dtype == np.float64 else np.float32).eps
    bound = times * eps * (2 + np.sqrt(products) / 2) * sizes.max(initial=0)
    error = np.abs(found.astype(np.float64) - dw)
    assert np.all(error <= bound + narrow * np.abs(dw)), (error.max(), bound)


def made(rng, x_shape, shape, padding=((1, 1), (1, 1)), dilation=(1, 1), stride=(1, 1), dtype=np.float32):
    """(dy, x), channels first."""
    n, _, h, w = x_shape
    axes = zip((h, w), padding, dilation, shape[2:], stride, strict=True)
    oh, ow = ((size + sum(pads) - step * (taps - 1) - 1) // over + 1 for size, pads, step, taps, over in axes)
    return rng.normal(size=(n, shape[0], oh, ow)).astype(dtype), rng.normal(size=x_shape).astype(dtype)


def gradient(dy, x, shape, layout="channels_first", **options):
    """The gradient by Winograd's algorithm of arrays that are channels first."""
    return fc.conv2d_weight_grad(layout_of(dy, layout), layout_of(x, layout), shape, layout=layout,
                                 algorithm="winograd", **options)  # fmt: skip


@pytest.mark.parametrize("which", MEMBERS, ids=lambda m: m.variant)
def test_every_member(rng, which):
    """More tiles than one, the last of them cut off, tails of channels."""
    shape, padding = (19, 5, which.r, which.s), ((which.r // 2, which.r - 1), (which.s - 1, which.s // 2))
    with only(which):
        for dtype in (np.float32, np.float64) if which in SOME else (np.float32,):
            options = {"padding": padding, "stride": (which.sh, which.sw)}
            dy, x = made(rng, (3, 5, 10 * which.sh, 13 * which.sw), shape, dtype=dtype, **options)
            found = [gradient(dy, x, shape, layout, **options) for layout in ("channels_first", "channels_last")]
            check(found[0], dy, x, times_of(which), **options)
            np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("size", [(64, 1, 1), (3, 7, 7), (7, 5, 85), (1, 56, 57), (2, 33, 14)], ids=str)
@pytest.mark.parametrize("channels", [(16, 16), (17, 33), (3, 5), (70, 129)], ids=str)
def test_sizes(rng, size, channels):
    (n, h, w), (c, k) = size, channels
    dy, x = made(rng, (n, c, h, w), (k, c, 3, 3))
    check(gradient(dy, x, (k, c, 3, 3), padding=1), dy, x, 16, padding=((1, 1), (1, 1)))


@st.composite
def problems(draw):
    """A member and a problem for it: many that no tile fits, and every option."""
    which, groups = draw(st.sampled_from(SOME)), draw(st.sampled_from([1, 1, 2, 3]))
    channels, outputs = draw(st.sampled_from([1, 3, 16, 17, 33])), draw(st.sampled_from([1, 8, 17, 33]))
    stride = which.sh, which.sw
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 3), (4, 1)])) if stride == (1, 1) else (1, 1)
    mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    size = draw(st.integers(1, 14)), draw(st.integers(1, 22))
    padding = []
    for extent, taps, step in zip(size, (which.r, which.s), dilation, strict=True):
        least, before = max(0, (taps - 1) * step + 1 - extent), draw(st.integers(0, 5))
        padding.append((before, max(least - before, draw(st.integers(0, 5)))))
    if any(max(pads) >= extent for pads, extent in zip(padding, size, strict=True)) and mode != "zeros":
        mode = "replicate"
    return {
        "member": which, "shape": (groups * outputs, channels, which.r, which.s),
        "x": (draw(st.sampled_from([0, 1, 2, 7])), groups * channels, *size),
        "options": {"padding": tuple(padding), "dilation": dilation, "groups": groups, "stride": stride},
        "mode": mode, "layout": draw(st.sampled_from(["channels_first", "channels_last"])),
        "dtype": draw(st.sampled_from(sorted(DTYPES))), "seed": draw(st.integers(0, 2**32 - 1)),
    }  # fmt: skip


@settings(max_examples=150)
@given(problems())
def test_any_problem(problem):
    rng, options, shape = np.random.default_rng(problem["seed"]), problem["options"], problem["shape"]
    dy, x = made(rng, problem["x"], shape, options["padding"], options["dilation"], options["stride"],
                 DTYPES[problem["dtype"]])  # fmt: skip
    with only(problem["member"]):
        found = gradient(dy, x, shape, problem["layout"], padding_mode=problem["mode"], **options)
    assert found.dtype == x.dtype and found.shape == shape
    check(found, dy, x, times_of(problem["member"]), mode=problem["mode"], **options)


@pytest.mark.parametrize("layer", [(8, 64, 64, 28, 1), (3, 16, 40, 19, 1), (1, 96, 96, 14, 1), (3, 40, 30, 37, 2)],
                         ids=str)  # fmt: skip
def test_threads_change_no_bit(rng, layer):
    """With segments and without."""
    n, c, k, size, stride = layer
    dy, x = made(rng, (n, c, size, size), (k, c, 3, 3), stride=(stride, stride))
    results = []
    for threads in (1, 2, 3, 7):
        with fc.num_threads(threads):
            results.append(gradient(dy, x, (k, c, 3, 3), padding=1, stride=stride))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("at_end", [False, True], ids=["start", "end"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_nothing_outside(rng, layout, at_end, dtype):
    for n, c, k, h, w in ((1, 17, 5, 9, 8), (2, 3, 33, 14, 19), (8, 16, 16, 28, 28)):
        dy, x = made(rng, (n, c, h, w), (k, c, 3, 3), dtype=dtype)
        out = guarded(np.full((k, c, 3, 3), np.nan, dtype), at_end)
        arrays = (guarded(layout_of(a, layout), at_end) for a in (dy, x))
        fc.conv2d_weight_grad(*arrays, (k, c, 3, 3), padding=1, layout=layout, algorithm="winograd", out=out)
        check(out, dy, x, 16, padding=((1, 1), (1, 1)))


def test_whole_numbers_stay_exact(rng):
    """F(2x2, 3x3) has the points 0, 1 and -1, and halves: small whole numbers come out as they are."""
    dy, x = (a.round() for a in made(rng, (4, 20, 15, 15), (24, 20, 3, 3)))
    with only(member("2x2k3x3")):
        found = gradient(dy, x, (24, 20, 3, 3), padding=1)
    np.testing.assert_array_equal(found, exact(dy, x, found.shape, ((1, 1), (1, 1)))[0])


def test_what_it_refuses(rng):
    dy, x = made(rng, (1, 16, 7, 7), (16, 16, 3, 3))
    with pytest.raises(ValueError, match="fewer than 64 products"):
        gradient(dy, x, (16, 16, 3, 3), padding=1)
    dy, x = made(rng, (2, 16, 8, 8), (16, 16, 3, 3))
    with pytest.raises(ValueError, match="strict"):
        gradient(dy, x, (16, 16, 3, 3), padding=1, precision="strict")
    with pytest.raises(ValueError, match="stride"):
        gradient(dy[:, :, ::3, ::3].copy(), x, (16, 16, 3, 3), padding=1, stride=3)


@pytest.mark.parametrize("l2", [256 << 10, 2 << 20])
@pytest.mark.parametrize("isa", ["generic", "avx2", "avx512"])
def test_scratch_and_segments_are_bounded(isa, l2):
    from fastconv.algorithm.winograd.weight_grad.plan import MOST_SEGMENT_BYTES, Cut, Scratch, segment_bytes
    from fastconv.problem.conv import conv2d_problem

    target = Target(isa, 32 << 10, l2)
    for n, c, k, size in ((1, 16, 16, 8), (8, 64, 64, 224), (32, 512, 512, 14), (1, 2048, 2048, 7)):
        problem = conv2d_problem((n, c, size, size), (k, c, 3, 3), dtype="float32", padding=1)
        cut = Cut.of(problem, F4, target)
        assert Scratch.of(problem, F4, cut, target).size <= max(2 * l2, 1 << 20)
        assert cut.segments == 1 or cut.segments * segment_bytes(problem, target) <= MOST_SEGMENT_BYTES
