"""What a caller of the gradients hears about wrong arguments: the right kind of error, and which argument it was."""

import re

import numpy as np
import pytest

import fastconv as fc

X = np.ones((2, 4, 8, 8), np.float32)
W = np.ones((6, 4, 3, 3), np.float32)
DY = np.ones((2, 6, 6, 6), np.float32)
READ_ONLY = X.copy()
READ_ONLY.flags.writeable = False

FUNCTIONS = {
    "input": (fc.conv2d_input_grad, {"grad_output": DY, "weight": W, "input_shape": X.shape}),
    "weight": (fc.conv2d_weight_grad, {"grad_output": DY, "x": X, "weight_shape": W.shape}),
    "backward": (fc.conv2d_backward, {"grad_output": DY, "x": X, "weight": W}),
}

ARRAYS = [
    *[
        (function, {name: wrong(array)}, TypeError, rf"\b{name}\b")
        for function, (_, arguments) in FUNCTIONS.items()
        for name, array in arguments.items()
        if isinstance(array, np.ndarray)
        for wrong in (np.ndarray.tolist, np.ma.masked_array, lambda a: a.astype(int), lambda a: a.astype(">f4"),
                      lambda a: a.astype(complex), lambda a: None, lambda a: 1.0)
    ],
    *[
        (function, {name: array.astype(np.float64)}, TypeError, r"(?s)(?=.*\bfloat64\b)(?=.*\bfloat32\b)")
        for function, (_, arguments) in FUNCTIONS.items()
        for name, array in arguments.items()
        if isinstance(array, np.ndarray)
    ],
    *[
        (function, {"grad_output": wrong}, ValueError, r"\b(grad_output|input_shape|x)\b")
        for function in FUNCTIONS
        for wrong in (DY[:1], DY[:, :5], DY[:, :, :5], DY[..., :5], DY[0], DY[None], DY[0, 0], DY[:0],
                      DY.transpose(0, 2, 3, 1)[:, :5])
    ],
    ("input", {"weight": W[0]}, ValueError, r"\bweight\b"),
    ("input", {"weight": W[:0]}, ValueError, r"\bweight\b"),
    ("input", {"weight": W[:, :3]}, ValueError, r"\bweight\b"),
    ("backward", {"weight": W[:, :3]}, ValueError, r"\bweight\b"),
    ("backward", {"x": X[:, :3]}, ValueError, r"\bweight\b"),
    ("backward", {"x": X[0]}, ValueError, r"\b(grad_output|x)\b"),
    ("backward", {"x": X[:1]}, ValueError, r"\bgrad_output\b"),
    ("weight", {"x": X[0]}, ValueError, r"\b(grad_output|x)\b"),
    ("weight", {"x": X[0, 0]}, ValueError, r"\bx\b"),
    ("weight", {"x": X[:1]}, ValueError, r"\bgrad_output\b"),
    ("weight", {"x": X[:, :, :0]}, ValueError, r"\bx\b"),
]  # fmt: skip

SHAPES = [
    *[
        (function, {name: value}, TypeError, rf"\b{name}\b")
        for function, name in (("input", "input_shape"), ("weight", "weight_shape"))
        for value in (None, 8, "1", (2.0, 4, 8, 8), (2, 4, True, 8), (2, 4, None, 8), {2, 4, 8}, np.ones(4))
    ],
    *[
        (function, {name: value}, ValueError, rf"\b{name}\b")
        for function, name in (("input", "input_shape"), ("weight", "weight_shape"))
        for value in ((), (8, 8), (4, 8, 8), (1, 2, 4, 8, 8), (2, 4, -8, 8), (2, 4, 8, 2**80))
    ],
    *[
        ("input", {"input_shape": value}, ValueError, r"\b(grad_output|input_shape|x)\b")
        for value in ((1, 4, 8, 8), (2, 4, 9, 8), (2, 4, 8, 7), (2, 5, 8, 8), (2, 4, 2, 8), (2, 4, 0, 8))
    ],
    *[
        ("weight", {"weight_shape": value}, ValueError, r"\b(grad_output|weight_shape|weight)\b")
        for value in ((5, 4, 3, 3), (6, 3, 3, 3), (6, 4, 2, 3), (6, 4, 3, 4), (6, 4, 9, 3), (6, 4, 0, 3), (0, 4, 3, 3))
    ],
]

OPTIONS = [
    (function, {name: value}, error, rf"\b{name}\b")
    for function in FUNCTIONS
    for name, value, error in (
        ("stride", 0, ValueError), ("stride", 1.0, TypeError), ("stride", (1, 1, 1), ValueError),
        ("padding", -1, ValueError), ("padding", "full", ValueError), ("padding", None, TypeError),
        ("padding", ((1, 1), 1), ValueError), ("dilation", 0, ValueError), ("dilation", True, TypeError),
        ("groups", 3, ValueError), ("groups", 0, ValueError), ("groups", (1, 1), TypeError),
        ("padding_mode", "mirror", ValueError), ("padding_mode", 0, TypeError), ("layout", "NCHW", ValueError),
        ("precision", "exact", ValueError), ("algorithm", "nonsense", ValueError), ("algorithm", None, TypeError),
        ("algorithm", ["auto"], TypeError),
    )
]  # fmt: skip

# A pass that is given a shape in place of an array speaks of the shape, and of nothing that its caller has not.
GIVEN_SHAPES = [
    ("input", {"input_shape": value}, ValueError, rf"^(?!.*\bx\b).*{message}")
    for value, message in (
        ((2, 5, 8, 8), r"input_shape has 5 channels .*\(input_shape \(2, 5, 8, 8\)"),
        ((2, 4, 2, 8), "input_shape has only 2"), ((2, 4, 0, 8), "input_shape has no height"),
        ((2, 0, 8, 8), "input_shape has no channels"), ((2, 4, 2**40, 2**40), r"input_shape \(2, 4, 1099511627776"),
    )
] + [
    ("weight", {"weight_shape": value}, ValueError, message)
    for value, message in (
        ((6, 3, 3, 3), r"weight_shape has 3 input channels a group \(weight_shape\[1\]\), but x has 4"),
        ((6, 4, 9, 3), "weight_shape spans 9"), ((6, 4, 0, 3), "weight_shape has no height"),
    )
]  # fmt: skip

NEEDS = [
    ("backward", {"needs": value}, error, r"\bneeds\b")
    for value, error in (
        (True, TypeError), (None, TypeError), ("TTT", TypeError), ((1, 1, 1), TypeError),
        ((True, True, None), TypeError),
        ((), ValueError), ((True,), ValueError), ((True,) * 4, ValueError), (np.ones(3, bool), TypeError),
    )
]  # fmt: skip

OUT = [
    ("input", {"out": X.tolist()}, TypeError, r"\bout\b"),
    ("input", {"out": X.astype(np.float64)}, TypeError, r"\bout\b"),
    ("input", {"out": np.ma.masked_array(X)}, TypeError, r"\bout\b"),
    ("input", {"out": X[:, :3]}, ValueError, r"\bout\b"),
    ("input", {"out": X[0]}, ValueError, r"\bout\b"),
    ("input", {"out": READ_ONLY}, ValueError, r"\bout\b.*read-only"),
    ("input", {"out": np.broadcast_to(X[:1], X.shape)}, ValueError, r"\bout\b"),
    ("weight", {"out": W.tolist()}, TypeError, r"\bout\b"),
    ("weight", {"out": W.astype(np.float64)}, TypeError, r"\bout\b"),
    ("weight", {"out": W[:5]}, ValueError, r"\bout\b"),
    ("weight", {"out": W[..., ::2]}, ValueError, r"\bout\b"),
    ("weight", {"out": DY}, ValueError, r"\bout\b"),
]


def case_id(case):
    """The function and its wrong argument, arrays by their type and shape."""
    function, arguments, *_ = case
    ((name, value),) = arguments.items()
    return f"{function}-{name}=" + (
        f"{value.dtype}{list(value.shape)}" if hasattr(value, "dtype") else f"{value!r:.24}"
    )


CASES = [pytest.param(*case, id=case_id(case)) for case in ARRAYS + SHAPES + GIVEN_SHAPES + OPTIONS + NEEDS + OUT]


@pytest.mark.parametrize(("function", "arguments", "error", "message"), CASES)
def test_wrong_arguments(function, arguments, error, message):
    """Before and after the right call, which is remembered."""
    call, right = FUNCTIONS[function]
    for _ in range(2):
        with pytest.raises(error, match=message):
            call(**right | arguments)
        call(**right)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_arguments_after_groups_are_keywords(function):
    call, right = FUNCTIONS[function]
    with pytest.raises(TypeError):
        call(*right.values(), 1, 0, 1, 1, "zeros")


@pytest.mark.parametrize("op", ["conv2d_input_grad", "conv2d_weight_grad"])
def test_an_algorithm_that_cannot_do_it_names_those_that_can(op):
    call, right = FUNCTIONS[op.split("_")[1]]
    plan = fc.explain(op, X.shape, W.shape, precision="strict")
    refused = [c.name for c in plan.candidates if c.reason is not None]
    assert plan.algorithm in fc.algorithms(op) and [c.name for c in plan.candidates] == list(fc.algorithms(op))
    for name in refused:
        with pytest.raises(ValueError, match=rf"\b{name}\b.*cannot do") as caught:
            call(**right, algorithm=name, precision="strict")
        assert plan.algorithm in re.findall(r"\w+", str(caught.value))


def test_an_error_leaves_out_as_it_was():
    for function, like in (("input", X), ("weight", W)):
        call, right = FUNCTIONS[function]
        out = np.full_like(like, 7)
        for wrong in ({"stride": 0}, {"grad_output": DY[:1]}, {"algorithm": "nonsense"}):
            with pytest.raises(ValueError):
                call(**right | wrong, out=out)
        assert (out == 7).all()


def test_plain_subclasses_are_arrays():
    class Tagged(np.ndarray):
        pass

    for call, right in FUNCTIONS.values():
        tagged = {name: a.view(Tagged) if isinstance(a, np.ndarray) else a for name, a in right.items()}
        got, plain = call(**tagged), call(**right)
        for one, other in zip(got, plain, strict=True) if isinstance(got, tuple) else ((got, plain),):
            assert type(one) is np.ndarray
            np.testing.assert_array_equal(one, other)


def test_options_that_do_not_go_with_a_shape():
    for options, message in (
        ({"groups": 3}, "groups=3 must divide input_shape's 4 channels"),
        ({"padding": 8, "padding_mode": "reflect"}, "less than input_shape's height 8"),
        ({"padding": 9, "padding_mode": "circular"}, "at most input_shape's height 8"),
    ):
        with pytest.raises(ValueError, match=message):
            fc.conv2d_input_grad(DY, W, X.shape, **options)
    with pytest.raises(ValueError, match=r"groups=4 must divide weight_shape's 6 .* \(weight_shape\[0\]\)"):
        fc.conv2d_weight_grad(DY, X, (6, 1, 3, 3), groups=4)


def test_transposed_gradients_speak_of_the_shapes_that_they_are_given():
    with pytest.raises(ValueError, match=r"but input_shape has 5 \(input_shape \(2, 5, 8, 8\)"):
        fc.conv_transpose2d_input_grad(np.ones((2, 4, 10, 10), np.float32), W, (2, 5, 8, 8))
    with pytest.raises(ValueError, match=r"weight_shape has 5 input channels \(weight_shape\[0\]\), but x has 4"):
        fc.conv_transpose2d_weight_grad(DY, X, (5, 6, 3, 3))


@pytest.mark.parametrize("before", [2**31, 2**53, 2**62])
@pytest.mark.parametrize("algorithm", ["auto", "direct"])
def test_a_border_that_no_memory_holds(before, algorithm):
    """The gradient of a replicated border is folded back from an image with that border; zeros are cut off."""
    one = np.ones((1, 1, 1, 1), np.float32)
    options = {"padding": ((before, 0), (0, 0)), "stride": (before + 1, 1)}
    with pytest.raises(ValueError, match=r"stride and padding make \d+ phases|padding makes an image of \d+ bytes"):
        fc.conv2d_input_grad(one, one, one.shape, **options, padding_mode="replicate", algorithm=algorithm)
    assert fc.conv2d_input_grad(one, one, one.shape, **options) == 0
    assert fc.conv2d_weight_grad(one, one, one.shape, **options, padding_mode="replicate") == 1
