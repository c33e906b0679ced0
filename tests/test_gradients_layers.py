"""Conv2d.backward: the gradients of the plain convolution, with the layer's own weights and options."""

import naive
import numpy as np
import pytest
from arrays import DTYPES, integers
from gradients import ALL, ALL_IDS, INPUT, LAYOUTS, WEIGHT, integer_case

import fastconv as fc


def expect(gradients, expected, dtype):
    """All three, to the bit."""
    for name, gradient, right in zip(gradients._fields, gradients, expected, strict=True):
        assert gradient.dtype == dtype
        np.testing.assert_array_equal(gradient, right.astype(np.float32).astype(dtype), err_msg=name)


@pytest.mark.parametrize("case", ALL, ids=ALL_IDS)
def test_cases(case):
    """Twice, as what is packed at the first call is used at the second; layouts and dtypes take turns."""
    index = ALL.index(case)
    layout, dtype = LAYOUTS[index % 2], DTYPES[("float32", "float64", "float16", "bfloat16")[index // 2 % 4]]
    dy, x, w, options, expected = integer_case(case, layout, dtype)
    layer = fc.Conv2d(w, np.zeros(len(w), dtype), precision="strict", **options)
    expected = expected[INPUT], expected[WEIGHT], naive.conv2d_bias_grad(dy, layout)
    for _ in range(2):
        expect(layer.backward(dy, x), expected, dtype)


def test_other_inputs_after_the_first(rng):
    """Sizes, batches, strides and the forward pass in between."""
    w, bias = integers(rng, (6, 4, 3, 3), np.float32), integers(rng, (6,), np.float32)
    layer = fc.Conv2d(w, bias, padding=1, precision="strict")
    for n, h, width in ((2, 9, 8), (1, 5, 31), (2, 9, 8), (0, 9, 8)):
        x, dy = integers(rng, (n, 4, h, width), np.float32), integers(rng, (n, 6, h, width), np.float32)
        right = (
            naive.conv2d_input_grad(dy, w, x.shape, padding=1),
            naive.conv2d_weight_grad(dy, x, w.shape, padding=1),
            naive.conv2d_bias_grad(dy),
        )
        expect(layer.backward(dy, x), right, np.float32)
        np.testing.assert_array_equal(layer(x), naive.conv2d(x, w, bias, padding=1))
        strided = [np.asfortranarray(dy), x[:, :, ::-1][:, :, ::-1]]
        expect(layer.backward(*strided), right, np.float32)
        if n:
            one = layer.backward(dy[0], x[0])
            assert one.input.shape == x.shape[1:] and one.weight.shape == w.shape
            np.testing.assert_array_equal(one.input, right[0][0])


@pytest.mark.parametrize("first", ["forward", "backward"])
@pytest.mark.parametrize("algorithm", ["auto", "im2col", "direct", "pointwise"])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (1, 1, 1), (3, 3, 3)], ids=str)
def test_passes_have_packed_weights_of_their_own(rng, kernel, algorithm, first):
    """Both read the same weights in the same form, but not in the same order."""
    spatial = len(kernel)
    w = integers(rng, (16, 16, *kernel), np.float32)
    x, dy = (integers(rng, (2, 16, *[9] * spatial), np.float32) for _ in range(2))
    if algorithm == "pointwise" and kernel[0] > 1:
        return
    made = {2: (fc.Conv2d, fc.ConvTranspose2d), 3: (fc.Conv3d, fc.ConvTranspose3d)}[spatial]
    padding = kernel[0] // 2
    forward = naive.conv(x, w, padding=padding)
    backward = naive.input_grad(dy, w, x.shape, padding=padding)
    for layer_of, there, back in zip(made, (forward, naive.input_grad(x, w, x.shape, padding=padding)),
                                     (backward, naive.conv(dy, w, padding=padding)), strict=True):  # fmt: skip
        layer = layer_of(w, padding=padding, algorithm=algorithm, precision="strict")
        for _ in range(2):
            if first == "forward":
                np.testing.assert_array_equal(layer(x), there)
            found = layer.backward(dy, x, needs=(True, False, False), algorithm=algorithm).input
            np.testing.assert_array_equal(found, back)
            np.testing.assert_array_equal(layer(x), there)


def test_needs(rng):
    x, w, dy = (integers(rng, shape, np.float32) for shape in ((1, 2, 5, 5), (3, 2, 3, 3), (1, 3, 3, 3)))
    layer = fc.Conv2d(w, np.zeros(3, np.float32), precision="strict")
    whole = layer.backward(dy, x)
    for needs in ((True, False, False), (False, True, False), (False, False, True), (False, False, False)):
        for needed, got, right in zip(needs, layer.backward(dy, x, needs=needs), whole, strict=True):
            assert (got is not None) == needed
            if needed:
                np.testing.assert_array_equal(got, right)
    with pytest.raises((TypeError, ValueError), match=r"\bneeds\b"):
        layer.backward(dy, x, needs=(True, True))


def test_the_weights_are_the_layers_own(rng):
    x, w, dy = (integers(rng, shape, np.float32) for shape in ((1, 2, 5, 5), (3, 2, 3, 3), (1, 3, 3, 3)))
    layer = fc.Conv2d(w, precision="strict")
    right = naive.conv2d_input_grad(dy, w, x.shape)
    w[...] = 7
    np.testing.assert_array_equal(layer.backward(dy, x).input, right)


def test_a_folded_batch_norm_belongs_to_the_weights(rng):
    x, w, dy = (rng.normal(size=shape) for shape in ((1, 2, 5, 5), (3, 2, 3, 3), (1, 3, 3, 3)))
    batch_norm = (*rng.normal(size=(3, 3)), rng.uniform(0.5, 2, 3), 1e-5)
    layer = fc.Conv2d(w, batch_norm=batch_norm)
    expected = naive.conv2d_input_grad(dy, layer.weight, x.shape)
    np.testing.assert_allclose(layer.backward(dy, x).input, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "gelu", ("leaky_relu", 0.1)], ids=str)
def test_an_activation_is_refused(activation):
    """Its derivative would need the result."""
    layer = fc.Conv2d(np.ones((3, 2, 3, 3), np.float32), activation=activation)
    with pytest.raises(ValueError, match=r"\bactivation\b"):
        layer.backward(np.ones((1, 3, 3, 3), np.float32), np.ones((1, 2, 5, 5), np.float32))


X, WEIGHTS, DY = (np.ones(shape, np.float32) for shape in ((1, 2, 5, 5), (3, 2, 3, 3), (1, 3, 3, 3)))


@pytest.mark.parametrize(
    ("dy", "x", "error", "message"),
    [
        (DY.tolist(), X, TypeError, r"\bgrad_output\b"),
        (DY, X.tolist(), TypeError, r"\bx\b"),
        (DY.astype(np.float64), X, TypeError, r"\bfloat64\b"),
        (DY, X.astype(np.float64), TypeError, r"\bfloat64\b"),
        (DY.astype(np.float64), X.astype(np.float64), TypeError, r"\bfloat64\b"),
        (DY[:, :, :2], X, ValueError, r"\bgrad_output\b"),
        (DY[:, :2], X, ValueError, r"\bgrad_output\b"),
        (DY[0], X, ValueError, r"\bgrad_output\b"),
        (DY, X[0], ValueError, r"\bgrad_output\b"),
        (DY, X[:, :1], ValueError, r"\bx\b"),
    ],
)
def test_wrong_arrays(dy, x, error, message):
    """Before and after a right call with the same shapes."""
    layer = fc.Conv2d(WEIGHTS)
    for _ in range(2):
        with pytest.raises(error, match=message):
            layer.backward(dy, x)
        layer.backward(DY, X)
