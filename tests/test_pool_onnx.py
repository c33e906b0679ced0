"""Pools with convention="onnx": the text of MaxPool, AveragePool and LpPool (versions 18 to 22), and ONNX Runtime."""

import os

import numpy as np
import pytest
from arrays import DTYPES, rounded
from pools import ALL_DTYPES, assert_close, laid
from strided import scattered

import fastconv as fc

try:
    import onnx
    import onnxruntime as runtime
except ImportError:
    runtime = None
else:
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 4

COUNT = int(os.environ.get("FASTCONV_RANDOM_PROBLEMS", "30"))
SEED = int(os.environ.get("FASTCONV_RANDOM_SEED", "0"))
MOST = {1: 40, 2: 14, 3: 7}


class Axis:
    """The positions of every window's taps along an axis: inside, in the borders, or beyond them."""

    def __init__(self, size, kernel, stride, dilation, before, after, ceil):
        room = size + before + after - dilation * (kernel - 1) - 1
        out = -(-room // stride) + 1 if ceil else room // stride + 1
        starts = np.arange(out) * stride - before
        if ceil:
            starts = starts[starts < size]  # "windows that would start in the right padded region are ignored"
        self.at = starts[:, None] + np.arange(kernel) * dilation
        self.inside = (self.at >= 0) & (self.at < size)
        self.counted = self.at < size + after
        self.clipped = np.clip(self.at, 0, size - 1)


def gathered(x, axes, fill):
    """(N, C, outputs..., taps): elements of every window, `fill` where there are none."""
    dims = len(axes)
    for i, axis in enumerate(axes):
        mask = axis.inside.reshape(axis.at.shape + (1,) * (x.ndim - 3 - 2 * i))
        x = np.where(mask, np.take(x, axis.clipped, 2 + 2 * i), np.asarray(fill, x.dtype))
    order = (0, 1, *range(2, 2 + 2 * dims, 2), *range(3, 3 + 2 * dims, 2))
    x = x.transpose(order)
    return x.reshape(*x.shape[: 2 + dims], -1)


class Drawn:
    """A random node."""

    def __init__(self, rng, kind, dtypes):
        self.kind, self.dims, norm = kind, int(rng.integers(1, 4)), kind == "lp"
        self.ceil = bool(rng.random() < 0.5)
        while True:
            self.sizes = rng.integers(1, MOST[self.dims], self.dims).tolist()
            self.kernel, self.stride = (rng.integers(1, 6, self.dims).tolist() for _ in range(2))
            self.dilation = [1] * self.dims if norm or rng.random() < 0.5 else rng.integers(1, 4, self.dims).tolist()
            self.pads = [[0, 0] if norm else rng.integers(0, 4, 2).tolist() for _ in self.kernel]
            spans = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
            if all(s + sum(p) >= t for s, p, t in zip(self.sizes, self.pads, spans, strict=True)):
                break
        given = zip(self.sizes, self.kernel, self.stride, self.dilation, self.pads, strict=True)
        self.axes = [Axis(*sizes, *pads, self.ceil) for *sizes, pads in given]
        self.shape = (int(rng.integers(1, 3)), int(rng.choice([1, 3, 17])), *self.sizes)
        self.layout = str(rng.choice(["channels_first", "channels_last"]))
        self.dtype = dtypes[str(rng.choice(list(dtypes)))]
        self.x = rng.integers(0 if self.dtype.kind == "u" else -4, 5, self.shape).astype(self.dtype)

    def __str__(self):
        return " ".join(f"{name}={value}" for name, value in vars(self).items() if name not in ("x", "axes"))

    def ours(self, rng, *args, **options):
        """The pool's results, channels first."""
        op = getattr(fc, f"{self.kind}_pool{self.dims}d")
        y = op(scattered(rng, laid(self.x, self.layout)), *args, **options, layout=self.layout, convention="onnx")
        results = y if isinstance(y, tuple) else (y,)
        return [np.moveaxis(a, -1, 1) if self.layout == "channels_last" else a for a in results]

    def theirs(self, op, outputs=1, **attributes):
        """ONNX Runtime's results, or None if it is not there or does not take the type or padding."""
        kinds = ("float32", "float64", "int8", "uint8") if op == "MaxPool" else ("float32",)
        fit = all(max(pair) < kernel for pair, kernel in zip(self.pads, self.kernel, strict=True))  # it demands
        if runtime is None or self.dtype.name not in kinds or not fit:
            return None
        if op != "LpPool":
            attributes["dilations"] = self.dilation
        names = ["y", "indices"][:outputs]
        node = onnx.helper.make_node(op, ["x"], names, kernel_shape=self.kernel, strides=self.stride,
                                     pads=[pair[i] for i in (0, 1) for pair in self.pads], ceil_mode=int(self.ceil),
                                     **attributes)  # fmt: skip
        kind = onnx.helper.np_dtype_to_tensor_dtype(self.dtype)
        kinds, value = [kind, onnx.TensorProto.INT64], onnx.helper.make_tensor_value_info
        result = [value(name, kind, None) for name, kind in zip(names, kinds, strict=False)]
        graph = onnx.helper.make_graph([node], "pool", [value("x", kind, self.shape)], result)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 22)], ir_version=10)
        session = runtime.InferenceSession(model.SerializeToString(), settings, ["CPUExecutionProvider"])
        return session.run(None, {"x": self.x})


def same(y, expected, message):
    np.testing.assert_array_equal(y.astype(np.float64), expected.astype(np.float64), err_msg=message)


@pytest.mark.parametrize("part", range(2))
def test_max(part):
    rng = np.random.default_rng([1, part, SEED])
    for _ in range(COUNT // 2):
        drawn = Drawn(rng, "max", ALL_DTYPES)
        least = np.iinfo(drawn.dtype).min if drawn.dtype.kind in "iu" else -np.inf
        elements = gathered(drawn.x, drawn.axes, least)
        # The position of every element in the whole tensor, and of none.
        numbers = gathered(np.arange(drawn.x.size).reshape(drawn.shape), drawn.axes, -1)
        first = np.where(numbers >= 0, elements.astype(np.float64), -np.inf).argmax(-1)
        some = (numbers >= 0).any(-1)
        positions = np.where(some, np.take_along_axis(numbers, first[..., None], -1)[..., 0], -1)
        window = (drawn.kernel, drawn.stride, drawn.pads, drawn.dilation, drawn.ceil)
        (y,) = drawn.ours(rng, *window)
        same(y, elements.max(-1), str(drawn))
        y, indices = drawn.ours(rng, *window, True)
        same(y, elements.max(-1), str(drawn))
        np.testing.assert_array_equal(indices, positions, err_msg=str(drawn))
        if (theirs := drawn.theirs("MaxPool", 2)) is not None:
            assert theirs[0].shape == y.shape, drawn
            same(theirs[0][some], y[some], str(drawn))
            np.testing.assert_array_equal(theirs[1][some], positions[some], err_msg=str(drawn))


@pytest.mark.parametrize("part", range(2))
def test_average(part):
    rng = np.random.default_rng([2, part, SEED])
    for _ in range(COUNT // 2):
        drawn, inside = Drawn(rng, "avg", DTYPES), bool(rng.random() < 0.5)
        sums = gathered(drawn.x.astype(np.float64), drawn.axes, 0).sum(-1)
        counts = np.ones(())
        for axis in drawn.axes:
            counts = counts[..., None] * (axis.counted if inside else axis.inside).sum(-1)
        expected = np.where(counts > 0, sums / np.maximum(counts, 1), 0)
        window = (drawn.kernel, drawn.stride, drawn.pads, drawn.ceil, inside)
        (y,) = drawn.ours(rng, *window, dilation=drawn.dilation)
        same(y, rounded(expected, drawn.dtype), str(drawn))
        if (theirs := drawn.theirs("AveragePool", count_include_pad=int(inside))) is not None:
            assert theirs[0].shape == y.shape, drawn
            some = np.broadcast_to(counts > 0, y.shape)
            np.testing.assert_allclose(theirs[0][some], y[some], rtol=1e-6, atol=1e-6, err_msg=str(drawn))


@pytest.mark.parametrize("part", range(2))
def test_norm(part):
    rng = np.random.default_rng([3, part, SEED])
    for _ in range(COUNT // 2):
        drawn, norm = Drawn(rng, "lp", DTYPES), int(rng.integers(1, 5))
        powers = np.abs(gathered(drawn.x.astype(np.float64), drawn.axes, 0)) ** norm
        expected = powers.sum(-1) ** (1 / norm)
        (y,) = drawn.ours(rng, norm, drawn.kernel, drawn.stride, drawn.ceil)
        assert_close(y, expected, str(drawn), 32)
        if (theirs := drawn.theirs("LpPool", p=norm)) is not None:
            assert theirs[0].shape == y.shape, drawn
            np.testing.assert_allclose(theirs[0], y, rtol=1e-5, atol=1e-5, err_msg=str(drawn))


@pytest.mark.parametrize("mode", ["same_upper", "same_lower"])
def test_padding_same(mode):
    """auto_pad's shape and borders, by its formulas."""
    rng = np.random.default_rng([4, SEED])
    for _ in range(COUNT // 4):
        drawn = Drawn(rng, "avg", DTYPES)
        pads = []
        for size, kernel, stride, dilation in zip(drawn.sizes, drawn.kernel, drawn.stride, drawn.dilation, strict=True):
            outputs = -(-size // stride)
            total = max(0, (outputs - 1) * stride + (kernel - 1) * dilation + 1 - size)
            pads.append((total // 2, total - total // 2) if mode == "same_upper" else (total - total // 2, total // 2))
        (y,) = drawn.ours(rng, drawn.kernel, drawn.stride, mode, drawn.ceil, dilation=drawn.dilation)
        assert y.shape[2:] == tuple(-(-size // stride) for size, stride in zip(drawn.sizes, drawn.stride, strict=True))
        (expected,) = drawn.ours(rng, drawn.kernel, drawn.stride, pads, drawn.ceil, dilation=drawn.dilation)
        same(y, expected, str(drawn))
