"""The bench: its reference, its figures, its command line."""

import json

import numpy as np
import pytest

import fastconv as fc
from fastconv.__main__ import main
from fastconv.bench import peers, report, runner
from fastconv.networks import Layer, network


def test_reference_is_the_convolution(rng):
    for layer in (
        Layer("conv2d", 6, 9, 8, 4, 3, 3, (2, 1), (1, 1), (1, 2)),
        Layer("conv2d", 6, 9, 8, 12, 3, 3, groups=6),
    ):
        x, w = rng.normal(size=layer.x_shape()), rng.normal(size=layer.weight_shape)
        values, places = runner.reference(layer, x, w, "channels_first", rng)
        y = fc.conv2d(x, w, **layer.kwargs)
        assert runner.error_of(y, values, places, "channels_first") < 1e-14
        y[0, 0] += 1
        assert runner.error_of(y, values, places, "channels_first") > 1e-3


def test_peers_are_named():
    with pytest.raises(ValueError, match="tensorflow"):
        peers.wanted("tensorflow")
    here, missing = peers.wanted("torch,onnxruntime,openvino,ncnn")
    assert len(here) + len(missing) >= 4 and all("pip install" in message for message in missing)


@pytest.mark.parametrize("peer", list(peers.PEERS))
def test_peers_agree(rng, peer):
    pytest.importorskip(peers.PEERS[peer][0])
    if peer == "onnxruntime":
        pytest.importorskip("onnx")
    for layer in (
        Layer("conv2d", 8, 9, 11, 16, 3, 3, (2, 2), (1, 1)),
        Layer("conv2d", 8, 9, 11, 8, 3, 3, groups=8),
    ):
        x = rng.normal(size=layer.x_shape()).astype(np.float32)
        w = rng.normal(size=layer.weight_shape).astype(np.float32)
        values, places = runner.reference(layer, x, w, "channels_first", rng)
        y = peers.prepare(peer, layer, x, w, "channels_first", 1)()
        assert runner.error_of(y, values, places, "channels_first") < 1e-4


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
    assert [r["layer"] for r in data["rows"]] == [layer.label for layer in network("lenet5") if layer.op == "conv2d"]
    assert all(r["layer"] in printed for r in data["rows"]) and "avg_pool2d" in printed
    assert main(["explain", "conv2d", "1,64,56,56", "128,64,1,1"]) == 0
    assert "pointwise" in capsys.readouterr().out
    assert main(["info"]) == 0
    assert main(["bench", "no_such_network"]) == 2
    assert "no_such_network" in capsys.readouterr().err


def test_picture(tmp_path):
    pytest.importorskip("matplotlib")
    from fastconv.bench.plot import plot

    rows = [row(layer, 1e-3, 1e-3, {"torch": 2e-3}) for layer in network("resnet18") if layer.op == "conv2d"]
    options = {"network": "resnet18", "dtype": "float32", "layout": "channels_first", "batch": 1}
    plot(str(tmp_path / "a.png"), report.as_json(rows, options))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
