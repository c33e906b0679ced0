"""Transposed convolutions for the tests: the oracle, a taxonomy of cases along one to three axes, and runs of them."""

import functools
import itertools
import zlib

import naive
import numpy as np
from arrays import integers

import fastconv as fc

LAYOUTS = ("channels_first", "channels_last")

# (label, x sizes (n, c, *spatial), weight (c, k / groups, *kernel), options)
CASES = [
    ("plain", (2, 5, 7, 6), (5, 9, 3, 3), {}),
    ("padded", (1, 16, 9, 8), (16, 20, 3, 3), {"padding": 1}),
    ("point", (1, 17, 6, 7), (17, 33, 1, 1), {}),
    ("point_strided", (1, 6, 5, 4), (6, 5, 1, 1), {"stride": 2, "output_padding": 1}),
    ("unet", (2, 12, 6, 9), (12, 7, 2, 2), {"stride": 2}),
    ("dcgan", (1, 20, 8, 8), (20, 19, 4, 4), {"stride": 2, "padding": 1}),
    ("dcgan_one_pixel", (2, 40, 1, 1), (40, 18, 4, 4), {}),
    ("three_strided", (1, 9, 7, 8), (9, 6, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ("five_strided", (1, 5, 6, 7), (5, 4, 5, 5), {"stride": 2, "padding": (2, 1), "output_padding": (0, 1)}),
    ("seven_strided_by_three", (1, 4, 5, 6), (4, 3, 7, 7), {"stride": 3, "padding": 2}),
    ("bilinear", (1, 6, 9, 10), (6, 1, 16, 16), {"stride": 8, "padding": 4, "groups": 6}),
    ("unequal_strides", (2, 5, 4, 6), (5, 6, 3, 5), {"stride": (3, 2), "padding": (0, 2), "output_padding": (2, 0)}),
    ("one_axis_strided", (1, 6, 5, 11), (6, 5, 3, 4), {"stride": (1, 2), "padding": (1, 1)}),
    ("other_axis_strided", (1, 6, 5, 11), (6, 5, 4, 3), {"stride": (4, 1), "dilation": (1, 2)}),
    ("stride_beyond_kernel", (2, 4, 3, 4), (4, 5, 2, 2), {"stride": 3}),
    ("stride_beyond_kernel_padded", (1, 4, 4, 3), (4, 5, 1, 2), {"stride": (4, 5), "padding": (2, 1)}),
    ("stride_far_beyond", (1, 3, 2, 3), (3, 2, 3, 3), {"stride": 32, "output_padding": 20}),
    ("dilated", (1, 5, 6, 7), (5, 4, 3, 3), {"dilation": 2, "padding": 2}),
    ("dilated_strided", (1, 5, 6, 7), (5, 4, 3, 2), {"dilation": (2, 3), "stride": (2, 4), "padding": 1}),
    ("dilation_beyond_stride", (1, 4, 5, 5), (4, 3, 3, 3), {"dilation": 4, "stride": 2, "output_padding": 3}),
    ("extra_beyond_stride", (1, 3, 4, 5), (3, 4, 2, 2), {"dilation": 3, "output_padding": 2, "padding": 1}),
    ("padding_beyond_kernel", (1, 4, 7, 8), (4, 3, 2, 2), {"stride": 2, "padding": (5, 6)}),
    ("grouped", (2, 8, 6, 5), (8, 3, 4, 4), {"groups": 2, "stride": 2, "padding": 1}),
    ("depthwise", (2, 18, 7, 9), (18, 1, 3, 3), {"groups": 18, "stride": 2, "padding": 1}),
    ("depthwise_whole", (1, 5, 14, 20), (5, 1, 4, 4), {"groups": 5, "stride": 2, "padding": 1}),
    ("depthwise_multiplier", (1, 6, 5, 6), (6, 3, 3, 3), {"groups": 6, "stride": 2}),
    ("depthwise_stride_one", (1, 6, 8, 20), (6, 1, 3, 3), {"groups": 6, "padding": 1}),
    ("pairs", (1, 4, 6, 6), (4, 5, 4, 4), {"stride": 2, "padding": ((0, 3), (2, 1))}),
    ("pairs_off_phase", (1, 3, 6, 7), (3, 4, 6, 6), {"stride": 3, "padding": ((1, 2), (2, 0))}),
    ("same", (1, 4, 5, 6), (4, 3, 3, 4), {"stride": 2, "padding": "same"}),
    ("same_lower", (1, 4, 5, 6), (4, 3, 4, 3), {"stride": (3, 2), "padding": "same_lower"}),
    ("same_beyond_kernel", (1, 3, 3, 4), (3, 4, 2, 2), {"stride": (3, 5), "padding": "same"}),
    ("valid", (1, 3, 3, 4), (3, 4, 2, 2), {"stride": 2, "padding": "valid", "output_padding": 1}),
    ("wide", (1, 40, 3, 40), (40, 24, 4, 4), {"stride": 4}),
    ("deep", (1, 300, 3, 4), (300, 18, 4, 4), {"stride": 2, "padding": 1}),
    ("one_channel", (2, 1, 9, 9), (1, 1, 3, 3), {"stride": 2}),
    ("vocoder", (2, 9, 15), (9, 6, 16), {"stride": 8, "padding": 4}),
    ("signal_same", (1, 5, 11), (5, 7, 3), {"stride": 2, "padding": "same"}),
    ("signal_causal", (1, 5, 11), (5, 7, 4), {"stride": 2, "padding": ((0, 2),)}),
    ("signal_dilated", (2, 6, 9), (6, 4, 3), {"dilation": 3}),
    ("signal_depthwise", (1, 18, 21), (18, 1, 4), {"stride": 2, "padding": 1, "groups": 18}),
    ("istft", (1, 34, 9), (34, 1, 1024), {"stride": 256, "padding": 512}),
    ("istft_padded_off", (1, 10, 5), (10, 2, 700), {"stride": 256, "padding": 100, "output_padding": 31}),
    ("signal_no_tap", (1, 5, 4), (5, 2, 3), {"stride": 7, "padding": 1, "output_padding": 3}),
    ("volume_unet", (1, 10, 3, 4, 5), (10, 6, 2, 2, 2), {"stride": 2}),
    ("volume_padded", (2, 4, 4, 3, 5), (4, 5, 3, 3, 3), {"padding": 1}),
    ("volume_strided", (1, 5, 3, 4, 4), (5, 4, 4, 3, 4), {"stride": (2, 3, 2), "padding": (1, 0, 1)}),
    ("volume_beyond_kernel", (1, 4, 2, 3, 3), (4, 3, 2, 1, 2), {"stride": 3, "output_padding": (2, 0, 1)}),
    ("volume_dilated", (1, 3, 3, 3, 4), (3, 4, 2, 2, 3), {"dilation": (2, 1, 2), "stride": (1, 2, 2)}),
    ("volume_grouped", (2, 6, 3, 4, 3), (6, 2, 3, 2, 2), {"groups": 2, "stride": 2, "padding": (1, 0, 0)}),
    ("volume_depthwise", (1, 7, 3, 5, 6), (7, 1, 3, 3, 3), {"groups": 7, "stride": 2, "padding": 1}),
    ("volume_plane", (1, 5, 4, 5, 6), (5, 4, 1, 4, 4), {"stride": (1, 2, 2), "padding": (0, 1, 1)}),
    ("volume_same", (1, 4, 2, 3, 3), (4, 3, 3, 1, 4), {"stride": 2, "padding": "same"}),
]  # fmt: skip
IDS = [case[0] for case in CASES]


def operator(x_sizes):
    """The operator for x of these sizes."""
    return f"conv_transpose{len(x_sizes) - 2}d"


def call(name, *arguments, **options):
    """A function of the package by its name."""
    return getattr(fc, name)(*arguments, **options)


def each(value, count):
    """One value for each axis."""
    return (value,) * count if isinstance(value, int) else tuple(value)


def cuts(sizes, kernel, stride, padding, output_padding, dilation):
    """(what is cut off before, the size that is left) for each axis."""
    found = []
    for axis, (size, taps, step, more, spread) in enumerate(
        zip(sizes, kernel, stride, output_padding, dilation, strict=True)
    ):
        whole = (size - 1) * step + (taps - 1) * spread + 1
        if padding == "valid" or padding == 0:
            before, after = 0, 0
        elif isinstance(padding, str):
            before, after = 0, whole - size * step
            if after > 0:
                before = after // 2 if padding != "same_lower" else -(-after // 2)
                after -= before
        else:
            pad = padding if isinstance(padding, int) else padding[axis]
            before, after = (pad, pad) if isinstance(pad, int) else pad
        found.append((before, whole - before - after + more))
    return found


def oracle(x, w, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, layout="channels_first",
           activation=None):  # fmt: skip
    """Each input times each tap goes to one place of the output, in float64."""
    count = w.ndim - 2
    if x.ndim == count + 1:
        return oracle(x[None], w, bias, stride, padding, output_padding, groups, dilation, layout=layout,
                      activation=activation)[0]  # fmt: skip
    x = np.asarray(np.moveaxis(x, -1, 1) if layout == "channels_last" else x, np.float64)
    w = np.asarray(w, np.float64).reshape(groups, w.shape[0] // groups, *w.shape[1:])
    n, _, *sizes = x.shape
    stride, dilation, output_padding = (each(value, count) for value in (stride, dilation, output_padding))
    found = cuts(sizes, w.shape[3:], stride, padding, output_padding, dilation)
    y = np.zeros((n, groups, w.shape[2], *(size for _, size in found)))
    x = x.reshape(n, groups, -1, *sizes)
    with np.errstate(all="ignore"):
        for place in itertools.product(*map(range, sizes)):
            for tap in itertools.product(*map(range, w.shape[3:])):
                to = [i * s + t * d - before for i, s, t, d, (before, _) in
                      zip(place, stride, tap, dilation, found, strict=True)]  # fmt: skip
                if all(0 <= i < size for i, (_, size) in zip(to, found, strict=True)):
                    y[(..., *to)] += np.einsum("ngc,gck->ngk", x[(..., *place)], w[(..., *tap)])
    y = y.reshape(n, -1, *y.shape[3:])
    if bias is not None:
        y += np.asarray(bias, np.float64).reshape(-1, *[1] * count)
    y = naive.activate(y, activation)
    return np.ascontiguousarray(np.moveaxis(y, 1, -1)) if layout == "channels_last" else y


def gradients(dy, x, w, stride=1, padding=0, output_padding=0, groups=1, dilation=1, *, layout="channels_first"):
    """The three gradients by the same loops, with dy read where y is written."""
    count = w.ndim - 2
    if layout == "channels_last":
        dy, x = np.moveaxis(dy, -1, 1), np.moveaxis(x, -1, 1)
    dy, x = np.asarray(dy, np.float64), np.asarray(x, np.float64)
    n, _, *sizes = x.shape
    wide = np.asarray(w, np.float64).reshape(groups, w.shape[0] // groups, *w.shape[1:])
    stride, dilation, output_padding = (each(value, count) for value in (stride, dilation, output_padding))
    found = cuts(sizes, wide.shape[3:], stride, padding, output_padding, dilation)
    db = dy.sum(axis=(0, *range(2, count + 2)))
    dy, x = dy.reshape(n, groups, -1, *dy.shape[2:]), x.reshape(n, groups, -1, *sizes)
    dx, dw = np.zeros_like(x), np.zeros_like(wide)
    for place in itertools.product(*map(range, sizes)):
        for tap in itertools.product(*map(range, wide.shape[3:])):
            to = [i * s + t * d - before for i, s, t, d, (before, _) in
                  zip(place, stride, tap, dilation, found, strict=True)]  # fmt: skip
            if all(0 <= i < size for i, (_, size) in zip(to, found, strict=True)):
                dx[(..., *place)] += np.einsum("ngk,gck->ngc", dy[(..., *to)], wide[(..., *tap)])
                dw[(..., *tap)] += np.einsum("ngk,ngc->gck", dy[(..., *to)], x[(..., *place)])
    dx = dx.reshape(n, -1, *sizes)
    return np.ascontiguousarray(np.moveaxis(dx, 1, -1)) if layout == "channels_last" else dx, dw.reshape(w.shape), db


@functools.cache
def _case(label):
    """x, w, bias, dy in float64, channels first, and the oracle's results of them."""
    _, x_sizes, w_shape, options = CASES[IDS.index(label)]
    rng = np.random.default_rng(zlib.crc32(label.encode()))
    x, w = integers(rng, x_sizes, np.float64), integers(rng, w_shape, np.float64)
    bias = integers(rng, w_shape[1] * options.get("groups", 1), np.float64)
    y = oracle(x, w, bias, **options)
    dy = integers(rng, y.shape, np.float64)
    return x, w, bias, dy, y, gradients(dy, x, w, **options)


def case_of(case, layout, dtype):
    """(x, w, bias, dy), the options, y and the gradients of a case of small integers, exact in float32."""
    label, *_, options = case
    x, w, bias, dy, y, (dx, dw, db) = _case(label)

    def laid(a):
        return np.ascontiguousarray(np.moveaxis(a, 1, -1)) if layout == "channels_last" else a

    arrays = laid(x).astype(dtype), w.astype(dtype), bias.astype(dtype), laid(dy).astype(dtype)
    return arrays, {**options, "layout": layout}, laid(y), (laid(dx), dw, db)


def able(name, x, w, precision="strict", bias=False, **options):
    """The algorithms that accept a call of this name."""
    plan = fc.explain(name, x.shape, w.shape, bias, dtype=x.dtype.name, precision=precision, **options)
    return [c.name for c in plan.candidates if c.reason is None]
