"""Several small volumes in one launch give what each gives alone, bit by bit."""

import numpy as np
import pytest
from arrays import layout_of

import fastconv as fc
from fastconv.algorithm.volume import together

CASES = {
    "copied": ((5, 7, 6, 9, 8), (19, 7, 3, 3, 3), {"padding": 1}),
    "many_channels": (
        (3, 64, 5, 7, 7),
        (200, 64, 3, 3, 3),
        {"padding": 1},
    ),  # a block's channels are tasks of their own
    "strided": ((4, 6, 9, 9, 9), (5, 6, 3, 3, 3), {"stride": 3, "padding": 1}),
    "dilated": ((3, 4, 8, 7, 7), (6, 4, 2, 2, 2), {"dilation": 2}),
    "grouped": ((3, 8, 5, 7, 6), (12, 4, 3, 3, 3), {"groups": 2}),
    "in_place": ((5, 9, 6, 5, 7), (11, 9, 1, 1, 1), {"stride": (1, 2, 2)}),
    "depthwise": ((5, 6, 7, 6, 9), (6, 1, 3, 3, 3), {"groups": 6, "padding": 1}),
}


@pytest.mark.parametrize("algorithm", ["auto", "direct", "im2col", "winograd", "taps"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("case", CASES)
def test_each_is_what_it_is_alone(rng, case, layout, algorithm):
    x_shape, w_shape, options = CASES[case]
    x, w, bias = (rng.normal(size=shape).astype(np.float32) for shape in (x_shape, w_shape, w_shape[0]))
    x = layout_of(x, layout)
    options = {**options, "layout": layout, "algorithm": algorithm, "activation": "relu"}
    try:
        alone = np.concatenate([fc.conv3d(x[i : i + 1], w, bias, **options) for i in range(len(x))])
    except ValueError as refused:
        assert "these can" in str(refused)
        return
    apart = np.full((2 * len(x), *x.shape[1:]), np.nan, np.float32)[::2]  # volumes with others between them
    apart[...] = x
    residual = rng.normal(size=alone.shape).astype(np.float32)
    layer = fc.Conv3d(w, bias, **options)  # which may have another member of Winograd's family
    layer_alone = np.concatenate([layer(x[i : i + 1]) for i in range(len(x))])
    for count in (1, 2, 5):
        with fc.num_threads(count):
            for given in (x, apart, x[::-1]):
                order = slice(None, None, -1 if given.strides[0] < 0 else 1)
                np.testing.assert_array_equal(fc.conv3d(given, w, bias, **options), alone[order])
                np.testing.assert_array_equal(layer(given), layer_alone[order])
    plain = [fc.conv3d(x[i : i + 1], w, bias, residual=residual[i : i + 1], **options) for i in range(len(x))]
    np.testing.assert_array_equal(fc.conv3d(x, w, bias, residual=residual, **options), np.concatenate(plain))


def test_a_large_copy_is_of_one_volume(monkeypatch):
    """So is what a call takes: a limit that holds for any number of volumes."""
    launched = []
    several = together.of_several
    monkeypatch.setattr(
        together, "of_several", lambda job, volumes, *steps: launched.append(volumes) or several(job, volumes, *steps)
    )
    w = np.ones((4, 4, 3, 3, 3), np.float32)
    for size, n, expected in ((8, 5, {5}), (30, 7, {4, 3}), (70, 2, set())):
        launched.clear()
        x = np.ones((n, 4, size, size, size), np.float32)
        y = fc.conv3d(x, w, algorithm="im2col")
        assert set(launched) == expected and (y == 108).all()


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_sums_tap_by_tap_in_another_type(rng, dtype, layout):
    """Narrow volumes are widened, as many as go together."""
    x, w = rng.normal(size=(5, 6, 7, 5, 6)).astype(dtype), rng.normal(size=(4, 6, 3, 3, 3)).astype(dtype)
    x = layout_of(x, layout)
    options = {"padding": (3, 1, 1), "dilation": (3, 1, 1), "layout": layout, "algorithm": "taps"}
    alone = [fc.conv3d(x[i : i + 1], w, **options) for i in range(len(x))]
    residual = np.ones((len(x), *alone[0].shape[1:]), dtype)
    np.testing.assert_array_equal(fc.conv3d(x, w, **options), np.concatenate(alone))
    plain = [fc.conv3d(x[i : i + 1], w, residual=residual[i : i + 1], **options) for i in range(len(x))]
    np.testing.assert_array_equal(fc.conv3d(x, w, residual=residual, **options), np.concatenate(plain))
