"""Layers as objects: copied, pickled, shared by threads, and not changed from outside."""

import copy
import multiprocessing
import pickle
import threading

import numpy as np
import pytest
from arrays import integers

import fastconv as fc

X = np.arange(2 * 8 * 12 * 12, dtype=np.float32).reshape(2, 8, 12, 12) % 5
WEIGHT = np.arange(8 * 8 * 9, dtype=np.float32).reshape(8, 8, 3, 3) % 3 - 1
BIAS = np.arange(8, dtype=np.float32)
LAYERS = [fc.Conv2d, fc.ConvTranspose2d]


def called(cls):
    """A layer that has prepared calls and packed weights."""
    layer = cls(WEIGHT, BIAS, padding=[1, 1], activation=["leaky_relu", 0.5])
    return layer, layer(X)


def result(layer):
    """What another process computes."""
    return layer(X)


@pytest.mark.parametrize("cls", LAYERS)
@pytest.mark.parametrize("method", [copy.copy, copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies(cls, method):
    layer, y = called(cls)
    twin = method(layer)
    del layer
    np.testing.assert_array_equal(twin(X), y)
    assert not twin.weight.flags.writeable and not twin.bias.flags.writeable


def test_a_used_layer_works_in_another_process():
    """Addresses of this process's memory must not go there."""
    expected = [called(cls) for cls in LAYERS]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(result, [layer for layer, _ in expected])
    for y, (_, right) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(y, right)


@pytest.mark.parametrize("cls", LAYERS)
def test_arrays_are_the_layers_own(cls):
    weight, bias, padding = WEIGHT.copy(), BIAS.copy(), [1, 1]
    layer = cls(weight, bias, padding=padding)
    y = layer(X)
    weight[:], bias[:], padding[:] = 7, 7, [0, 0]
    np.testing.assert_array_equal(layer(X), y)
    np.testing.assert_array_equal(layer(X[:1]), y[:1])
    for name in ("weight", "bias"):
        with pytest.raises(AttributeError, match=name):
            setattr(layer, name, 2 * WEIGHT)
        with pytest.raises(ValueError, match="read-only"):
            getattr(layer, name)[:] = 0


@pytest.mark.parametrize("cls", LAYERS)
def test_one_layer_in_many_threads(cls, rng):
    """More shapes than a layer remembers, in every thread in another order."""
    layer = cls(WEIGHT, padding=1, precision="strict")
    xs = [integers(rng, (1, 8, 4 + i, 9), np.float32) for i in range(70)]
    expected = [cls(WEIGHT, padding=1, precision="strict")(x) for x in xs]
    wrong = []

    def work(seed):
        try:
            for i in np.random.default_rng(seed).permutation(len(xs)):
                np.testing.assert_array_equal(layer(xs[i]), expected[i])
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong
