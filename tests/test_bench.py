"""The bench: its reference, its figures, its command line."""

import importlib.util
import json

import numpy as np
import pytest

from fastconv.__main__ import main
from fastconv.bench import peers, pools, report, runner
from fastconv.bench.passes import PASSES
from fastconv.bench.reference import Data
from fastconv.networks import Depth, Layer, network

LAYERS = (
    Layer("conv2d", 6, 9, 8, 4, 3, 3, (2, 1), (1, 1), (1, 2)),
    Layer("conv2d", 6, 9, 8, 12, 3, 3, groups=6),
    Layer("conv2d", 4, 7, 9, 6, 1, 1, (3, 2), groups=2),
    Layer("conv2d", 3, 6, 5, 5, 5, 4, padding=(4, 3)),
)
SPATIAL = (
    Layer("conv1d", 6, 1, 30, 4, 1, 3, (1, 2), (0, 2), (1, 3)),
    Layer("conv3d", 6, 9, 8, 4, 3, 2, (2, 1), (1, 1), (1, 2), groups=2, depth=Depth(7, 3, 2, 1, 2)),
)
IDS = [layer.label for layer in LAYERS]
LAYOUTS = ["channels_first", "channels_last"]


def definition(layer, x, w, dy):
    """The output and both gradients, product by product, channels first."""
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    y, dx, dw = np.zeros_like(dy), np.zeros_like(x), np.zeros(w.shape)
    per, outputs = layer.c // layer.groups, layer.k // layer.groups
    for k, c, r, s, i, j in np.ndindex(layer.k, per, layer.r, layer.s, layer.oh, layer.ow):
        h = i * layer.stride[0] + r * layer.dilation[0] - layer.padding[0]
        v = j * layer.stride[1] + s * layer.dilation[1] - layer.padding[1]
        if 0 <= h < layer.h and 0 <= v < layer.w:
            at = slice(None), k // outputs * per + c, h, v
            y[:, k, i, j] += x[at] * w[k, c, r, s]
            dx[at] += dy[:, k, i, j] * w[k, c, r, s]
            dw[k, c, r, s] += dy[:, k, i, j] @ x[at]
    return {"forward": y, "input_grad": dx, "weight_grad": dw}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("layer", LAYERS, ids=IDS)
def test_samples_are_of_the_definition(layer, layout):
    data = Data.random(layer, 2, layout, np.dtype(np.float64))
    true = definition(layer, data.first(data.x), data.w, data.first(data.dy))
    for pass_ in PASSES.values():
        samples, results = pass_.samples(data), tuple(true[op] for op in pass_.ops)
        assert pass_.error(results, samples) < 1e-14
        for i in range(len(results)):
            before, after = results[:i], results[i + 1 :]
            assert pass_.error((*before, results[i] + 1, *after), samples) > 1e-3
            assert np.isnan(pass_.error((*before, results[i] * np.nan, *after), samples))


POOLS = (
    Layer("max_pool2d", 5, 9, 8, 5, 3, 2, (2, 1), (1, 0)),
    Layer("max_pool2d", 5, 10, 10, 5, 3, 3, (2, 2), extra=(1, 1)),
    Layer("avg_pool2d", 5, 9, 8, 5, 3, 2, (2, 1), (1, 1)),
    Layer("global_avg_pool", 5, 7, 6, 5, 7, 6),
    Layer("max_pool1d", 5, 1, 40, 5, 1, 5, (1, 3), (0, 2)),
    Layer("avg_pool3d", 5, 6, 7, 5, 2, 3, (1, 2), (0, 1), depth=Depth(5, 3, 2, 1)),
)


def pool(layer, x, dy):
    """The output and the input's gradient, window by window, channels first."""
    x, dx = x.astype(np.float64), np.zeros(x.shape)
    y = np.zeros(layer.y_shape(len(x)))
    strides, pads = layer.window("stride"), layer.window("padding")
    for at in np.ndindex(*layer.y_sizes):
        box = (slice(None),) * 2 + tuple(
            slice(max(0, i * s - p), i * s - p + r) for i, s, p, r in zip(at, strides, pads, layer.kernel, strict=True)
        )
        here = (slice(None),) * 2 + at
        part, axes = x[box], tuple(range(2, x.ndim))
        if layer.op.startswith("max"):
            y[here] = part.max(axes)
            dx[box] += np.where(part == np.expand_dims(y[here], axes), np.expand_dims(dy[here], axes), 0)
        else:
            count = np.prod(layer.kernel)
            y[here] = part.sum(axes) / count
            dx[box] += np.expand_dims(dy[here], axes) / count
    return {"forward": y, "input_grad": dx}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("layer", POOLS, ids=lambda layer: layer.label)
@pytest.mark.parametrize("what", pools.GRADIENTS)
def test_pools(what, layer, layout):
    """Samples are of the definition, and our calls agree with them; torch's too, in every format that it has."""
    pass_, data = PASSES[what], Data.random(layer, 2, layout, np.dtype(np.float64))
    samples, true = pass_.samples(data), pool(layer, data.first(data.x), data.first(data.dy))[what]
    assert pass_.error(true, samples) < 1e-14 and pass_.error(true + 1, samples) > 1e-3
    (call,) = pass_.calls(data, "layer").values()
    assert pass_.error(call(), samples, data) < 1e-13
    assert pass_.algorithm(data, True) and pass_.flops(layer, 2) == 0
    assert pass_.bytes(layer, 2, 8) == data.x.nbytes + data.dy.nbytes
    if importlib.util.find_spec("torch"):
        for peer in peers.LIBRARIES["torch"][: 1 if layer.op.endswith("1d") else 2]:
            assert pass_.error(peers.prepare(peer, pass_, data, 1)(), samples) < 1e-13


def test_what_cannot_be_timed():
    assert pools.timed(POOLS[0]) and not pools.timed(POOLS[0], "training")
    assert not pools.timed(Layer("max_unpool2d", 4, 3, 3, 4, 2, 2, (2, 2)))
    assert pools.timed(LAYERS[0], "training")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("layer", SPATIAL, ids=[layer.label for layer in SPATIAL])
@pytest.mark.parametrize("pass_", PASSES.values(), ids=list(PASSES))
def test_signals_and_volumes(pass_, layer, layout):
    """Our calls and torch's agree with the samples, and these with their definition where that is easy: in torch."""
    pytest.importorskip("torch")
    data = Data.random(layer, 2, layout, np.dtype(np.float64))
    samples = pass_.samples(data)
    for call in pass_.calls(data, "both").values():
        assert pass_.error(call(), samples, data) < 1e-13
    assert pass_.error(peers.prepare("torch", pass_, data, 1)(), samples) < 1e-13
    assert pass_.algorithm(data, False)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("layer", LAYERS, ids=IDS)
@pytest.mark.parametrize("pass_", PASSES.values(), ids=list(PASSES))
def test_passes_agree_with_their_samples(pass_, layer, layout):
    data = Data.random(layer, 2, layout, np.dtype(np.float64))
    samples = pass_.samples(data)
    calls = pass_.calls(data, "both")
    assert "function" in calls and all(pass_.error(call(), samples, data) < 1e-13 for call in calls.values())
    assert pass_.flops(layer, 2) == len(pass_.ops) * layer.flops(2)
    assert len(pass_.algorithm(data, False).split("+")) == len(pass_.ops)


def test_peers_are_named():
    with pytest.raises(ValueError, match="tensorflow"):
        peers.wanted("tensorflow")
    here, missing = peers.wanted("torch,onnxruntime,openvino,ncnn")
    assert len(here) + len(missing) >= 4 and all("pip install" in message for message in missing)
    with pytest.raises(ValueError, match=r"ncnn has no gradients.*training.*torch"):
        peers.wanted("torch,ncnn", "training")


@pytest.mark.parametrize("peer", list(peers.PEERS))
def test_peers_agree(rng, peer):
    pytest.importorskip(peers.PEERS[peer][0])
    if peer == "onnxruntime":
        pytest.importorskip("onnx")
    for layer in (
        Layer("conv2d", 8, 9, 11, 16, 3, 3, (2, 2), (1, 1)),
        Layer("conv2d", 8, 9, 11, 8, 3, 3, groups=8),
    ):
        data = Data.random(layer, 1, "channels_last", np.dtype(np.float32))
        for pass_ in PASSES.values() if peers.PEERS[peer].gradients else (PASSES["forward"],):
            call = peers.prepare(peer, pass_, data, 1)
            assert pass_.error(call(), pass_.samples(data)) < 1e-4


def row(layer, function, packed, times):
    return runner.Row(layer, "im2col", layer.flops(), 100.0, 1e-7, function, packed, times)


def test_figures():
    layer = Layer("conv2d", 8, 9, 11, 16, 3, 3, count=3)
    rows = [row(layer, 2.0, 1.0, {"torch": 4.0, "torch_cl": 3.0, "onnxruntime": 2.0}),
            row(layer, 2.0, 1.0, {"torch": 1.0, "torch_cl": 3.0, "onnxruntime": 8.0})]  # fmt: skip
    text = report.summary(rows, ["torch", "torch_cl", "onnxruntime"])
    assert "onnxruntime: 4.00 times" in text and "least 2.00" in text
    assert "torch: 1.00 times" in text and "torch's formats (conv2d): 0.87" in text


def test_command_line(tmp_path, capsys):
    assert main(["bench", "lenet5", "--threads", "1", "--json", str(tmp_path / "out.json")]) == 0
    printed = capsys.readouterr().out
    data = json.loads((tmp_path / "out.json").read_text())
    assert [r["layer"] for r in data["rows"]] == [layer.label for layer in network("lenet5")]
    assert all(r["layer"] in printed for r in data["rows"]) and "avg_pool2d" in printed
    assert main(["explain", "conv2d", "1,64,56,56", "128,64,1,1"]) == 0
    assert "pointwise" in capsys.readouterr().out
    assert main(["info"]) == 0
    assert main(["bench", "no_such_network"]) == 2
    assert "no_such_network" in capsys.readouterr().err


@pytest.mark.parametrize("pass_", ["input_grad", "weight_grad", "training"])
def test_gradients_on_the_command_line(tmp_path, capsys, pass_):
    against = ["--against", "torch"] if importlib.util.find_spec("torch") else []
    file = tmp_path / "out.json"
    given = ["bench", "lenet5", "--pass", pass_, "--batch", "2", "--threads", "1", "--json", str(file), *against]
    assert main(given) == 0
    printed, data = capsys.readouterr().out, json.loads(file.read_text())
    layers = [layer for layer in network("lenet5") if pools.timed(layer, pass_)]
    assert [r["flops"] for r in data["rows"]] == [PASSES[pass_].flops(layer, 2) for layer in layers]
    assert data["options"]["pass_"] == pass_ and pass_ in "".join(printed.splitlines()[:2])
    assert all(r["layer_s"] is None and r["function_s"] > 0 for r in data["rows"])
    if against:
        assert all(set(r["peers_s"]) == {"torch", "torch_cl"} for r in data["rows"])
        assert f"torch's formats ({PASSES[pass_].function})" in printed
        assert main(["compare", str(file)]) == 0
        assert f"(pass {pass_})" in capsys.readouterr().out


def test_what_gradients_cannot(capsys):
    for given, said in (
        (["--against", "openvino"], "openvino has no gradients"),
        (["--api", "layer"], "--api layer"),
        (["--errors"], "--errors"),
        (["--regret"], "--pass must be one of"),
    ):
        assert main(["bench", "lenet5", "--pass", "training", *given]) == 2
        assert said in capsys.readouterr().err


def test_picture(tmp_path):
    pytest.importorskip("matplotlib")
    from fastconv.bench.plot import plot

    rows = [row(layer, 1e-3, 1e-3, {"torch": 2e-3}) for layer in network("resnet18") if layer.op == "conv2d"]
    options = {"network": "resnet18", "dtype": "float32", "layout": "channels_first", "batch": 1}
    plot(str(tmp_path / "a.png"), report.as_json(rows, options))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
