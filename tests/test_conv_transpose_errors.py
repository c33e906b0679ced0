"""What a caller of transposed convolutions hears about wrong arguments; names, labels and plans."""

import re

import numpy as np
import pytest

import fastconv as fc

X, W, B = np.ones((2, 4, 8, 8), np.float32), np.ones((4, 3, 4, 4), np.float32), np.ones(3, np.float32)
DY = np.ones((2, 3, 16, 16), np.float32)
RIGHT = {"stride": 2, "padding": 1}

FUNCTIONS = {
    "forward": (fc.conv_transpose2d, {"x": X, "weight": W, "bias": B, **RIGHT}),
    "input": (fc.conv_transpose2d_input_grad, {"grad_output": DY, "weight": W, "input_shape": X.shape, **RIGHT}),
    "weight": (fc.conv_transpose2d_weight_grad, {"grad_output": DY, "x": X, "weight_shape": W.shape, **RIGHT}),
    "backward": (fc.conv_transpose2d_backward, {"grad_output": DY, "x": X, "weight": W, **RIGHT}),
}
CASES = [
    *[
        (function, {name: wrong(value)}, TypeError, rf"\b{name}\b")
        for function, (_, arguments) in FUNCTIONS.items()
        for name, value in arguments.items()
        if isinstance(value, np.ndarray)
        for wrong in (np.ndarray.tolist, np.ma.masked_array, lambda a: a.astype(int), lambda a: a.astype(">f4"), str)
    ],
    *[
        (function, {name: value}, error, rf"\b{name}\b")
        for function in FUNCTIONS
        for name, value, error in (
            ("stride", 0, ValueError), ("stride", 1.0, TypeError), ("stride", (1, 1, 1), ValueError),
            ("padding", -1, ValueError), ("padding", "full", ValueError), ("padding", ((1, 1), 1), ValueError),
            ("padding", 20, ValueError), ("output_padding", 2, ValueError), ("output_padding", -1, ValueError),
            ("output_padding", 0.5, TypeError), ("output_padding", (0, 0, 0), ValueError),
            ("dilation", 0, ValueError), ("dilation", True, TypeError), ("groups", 3, ValueError),
            ("groups", 0, ValueError), ("groups", (1, 1), TypeError), ("layout", "NCHW", ValueError),
            ("precision", "exact", ValueError), ("algorithm", "nonsense", ValueError), ("algorithm", None, TypeError),
        )
    ],
    ("forward", {"x": X[:, :3]}, ValueError, r"\bweight\b.*\b4\b.*\b3\b"),
    ("forward", {"x": X[0, 0]}, ValueError, r"\bx\b"),
    ("forward", {"x": X[:, :, :0]}, ValueError, r"\bx\b.*height"),
    ("forward", {"weight": W[:, :, :, :0]}, ValueError, r"\bweight\b.*width"),
    ("forward", {"weight": W[0]}, ValueError, r"\bweight\b"),
    ("forward", {"weight": W.astype(np.float64)}, TypeError, r"float64"),
    ("forward", {"bias": np.ones(4, np.float32)}, ValueError, r"\bbias\b.*\(3,\)"),
    ("forward", {"bias": B.astype(np.float64)}, TypeError, r"\bbias\b"),
    ("forward", {"activation": "swish"}, ValueError, r"\bactivation\b"),
    ("forward", {"out": X}, ValueError, r"\bout\b"),
    ("forward", {"out": DY.astype(np.float64)}, TypeError, r"\bout\b"),
    ("forward", {"stride": 2**60}, ValueError, r"too large"),
    *[(function, {"grad_output": wrong}, ValueError, r"\b(grad_output|input_shape)\b")
      for function in ("input", "weight", "backward")
      for wrong in (DY[:, :2], DY[:, :, :15], DY[:1], DY[0], DY[0, 0])],
    ("input", {"input_shape": (2, 4, 8)}, ValueError, r"\binput_shape\b"),
    ("input", {"input_shape": 8}, TypeError, r"\binput_shape\b"),
    ("input", {"input_shape": (2, 4, 9, 8)}, ValueError, r"\bgrad_output\b"),
    ("weight", {"weight_shape": (4, 3, 4)}, ValueError, r"\bweight_shape\b"),
    ("weight", {"weight_shape": (4, 2, 4, 4)}, ValueError, r"\bgrad_output\b"),
    ("backward", {"needs": (True, True)}, ValueError, r"\bneeds\b"),
    ("backward", {"needs": True}, TypeError, r"\bneeds\b"),
]  # fmt: skip


def case_id(case):
    """The function and its wrong argument."""
    ((name, value),) = case[1].items()
    return f"{case[0]}-{name}=" + (f"{value.dtype}{list(value.shape)}" if hasattr(value, "dtype") else f"{value!r:.24}")


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"), [pytest.param(*c, id=case_id(c)) for c in CASES]
)
def test_wrong_arguments(function, arguments, error, message):
    """Before and after the right call, which is remembered."""
    call, right = FUNCTIONS[function]
    for _ in range(2):
        with pytest.raises(error, match=message):
            call(**right | arguments)
        call(**right)


@pytest.mark.parametrize("options", [
    {"stride": 0}, {"groups": 3}, {"padding": "full"}, {"output_padding": 5}, {"algorithm": "none"}, {"layout": "x"},
    {"batch_norm": (B,) * 4}, {"bias": np.ones(5, np.float32)}, {"activation": "swish"},
])  # fmt: skip
def test_layers_say_at_once(options):
    with pytest.raises(ValueError, match=rf"\b{next(iter(options))}"):
        fc.ConvTranspose2d(W, **options)


def test_a_layer_says_what_is_wrong_with_its_input():
    layer = fc.ConvTranspose2d(W, B, 2, 1)
    for wrong in (X[:, :3], X[0, 0], X.tolist(), X.astype(np.float64), X[:, :, :0]):
        with pytest.raises((TypeError, ValueError), match=r"\bx\b|float64"):
            layer(wrong)


def test_arguments_after_dilation_are_keywords():
    with pytest.raises(TypeError):
        fc.conv_transpose2d(X, W, B, 2, 1, 0, 1, 1, "channels_first")


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("pass_", ["", "_input_grad", "_weight_grad"])
def test_plans(axes, pass_):
    """Every algorithm is listed, with a cost or a reason, and a refused one says who can."""
    op, kernel = f"conv_transpose{axes}d{pass_}", (4,) * axes
    plan = fc.explain(op, (2, 4, *(8,) * axes), (4, 3, *kernel), stride=2, padding=1)
    assert tuple(c.name for c in plan.candidates) == fc.algorithms(op)
    assert all((c.milliseconds is None) != (c.reason is None) for c in plan.candidates)
    assert plan.algorithm in fc.algorithms(op) and plan.algorithm in str(plan)
    sizes = "x".join(["8"] * axes), "x".join(["16"] * axes)
    assert plan.label.startswith(f"conv_transpose{axes}d_f32_nchw_n2_c4_{sizes[0]}_k3_{sizes[1]}_")
    assert plan.label.endswith(pass_ or "g1")
    assert plan.flops == 2 * 2 * 4 * 3 * 8**axes * 4**axes
    assert plan.workspace > 0
    if axes == 2 and not pass_:
        with pytest.raises(ValueError, match=r"matvec.*cannot do") as refused:
            fc.conv_transpose2d(X, W, algorithm="matvec", **RIGHT)
        assert plan.algorithm in re.findall(r"\w+", str(refused.value))
        assert "merged" in fc.algorithms(op)


def test_labels_tell_problems_apart():
    """Options that change the output, and only those, change the label."""
    shapes = (1, 4, 8, 8), (4, 6, 4, 4)
    labels = {
        fc.explain("conv_transpose2d", *shapes, **options).label
        for options in ({}, {"stride": 2}, {"stride": 2, "padding": 1}, {"stride": 2, "padding": ((1, 0), (0, 1))},
                        {"stride": 2, "output_padding": 1}, {"dilation": 2}, {"activation": "relu"}, {"bias": True},
                        {"stride": 2, "padding": ((0, 1), (0, 1))}, {"precision": "strict"}, {"dtype": "float64"})
    }  # fmt: skip
    assert len(labels) == 11


def test_tune_and_the_command_line(capsys, tmp_path, monkeypatch):
    from fastconv.__main__ import main

    monkeypatch.setenv("FASTCONV_TUNING_FILE", str(tmp_path / "tuning.json"))
    right = fc.conv_transpose2d(X, W, B, precision="strict", **RIGHT)
    np.testing.assert_allclose(fc.conv_transpose2d(X, W, B, algorithm="tune", **RIGHT), right, rtol=1e-5)
    tuned = fc.explain("conv_transpose2d", X.shape, W.shape, True, **RIGHT)
    assert tuned.tuned in fc.algorithms("conv_transpose2d") and "measured" in str(tuned)
    assert main(["explain", "conv_transpose2d", "1,64,28,28", "64,32,2,2", "--stride", "2"]) == 0
    assert "conv_transpose2d_f32_nchw_n1_c64_28x28_k32_56x56_2x2_s2" in capsys.readouterr().out
