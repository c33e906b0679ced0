"""The comparison table, from the JSON of a run to a document."""

import json

import pytest

from fastconv.__main__ import main
from fastconv.bench import comparison
from fastconv.networks import Layer, network

FIRST, DEPTHWISE = "c0003_k0032_224x224_3x3_s2_p1", "c0032_k0032_112x112_3x3_s1_p1_g32"


def run_of(tmp_path, labels=(FIRST, DEPTHWISE)):
    """The JSON of an invented run: torch's better format takes 3 of our 2 seconds, onnxruntime 3 of our 1."""
    rows = [
        {"layer": label, "flops": 10**9, "function_s": 2.0, "layer_s": 1.0, "peak_gflops": 2.0,
         "peers_s": {"torch": 4.0, "torch_cl": 3.0, "onnxruntime": 3.0}}
        for label in labels
    ]  # fmt: skip
    machine = {"cpu": "a CPU", "core": "znver5", "isa": "avx512", "date": "2026-01-02"}
    options = {"network": "mobilenet_v2", "dtype": "float32", "layout": "channels_first", "batch": 1}
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"machine": machine, "options": options, "rows": rows}))
    return str(path)


def test_labels_are_those_of_the_networks():
    assert {FIRST, DEPTHWISE} <= {layer.label for layer in network("mobilenet_v2")}


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Layer("conv2d", 8, 9, 9, 8, 3, 3, groups=8), "depthwise"),
        (Layer("conv2d", 8, 9, 9, 8, 1, 1), "1x1"),
        (Layer("conv2d", 8, 9, 9, 8, 3, 3), "3x3, stride 1"),
        (Layer("conv2d", 8, 9, 9, 8, 3, 3, (2, 2)), "other"),
        (Layer("conv2d", 8, 9, 9, 8, 3, 3, groups=2), "3x3, stride 1"),
        (Layer("conv1d", 8, 1, 9, 8, 1, 1), "1-D"),
        (Layer("conv3d", 8, 9, 9, 8, 1, 1), "3-D"),
        (Layer("conv_transpose3d", 8, 9, 9, 8, 1, 1), "transposed"),
        (Layer("max_pool1d", 8, 1, 9, 8, 1, 2), "pool"),
    ],
)
def test_groups(layer, expected):
    assert comparison.kind(layer) == expected


def test_table(tmp_path, capsys):
    assert main(["compare", run_of(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "| all (2) | 1.50 (1.50) | 3.00 (3.00) | 50 |" in text
    assert "| depthwise (1) |" in text and "1x1" not in text and "openvino" not in text.split("\n\n")[0]
    assert "2026-01-02" in text and "a CPU" in text and "mobilenet_v2" in text


def test_written_between_the_markers(tmp_path, capsys):
    document = tmp_path / "README.md"
    document.write_text(f"before\n{comparison.START}\nold\n{comparison.END}\nafter\n")
    for _ in range(2):
        assert main(["compare", run_of(tmp_path), "--write", str(document)]) == 0
    text = document.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert text.count("| depthwise (1) |") == 1
    capsys.readouterr()


@pytest.mark.parametrize("text", ["nothing", f"{comparison.END} {comparison.START}", comparison.START * 2])
def test_a_document_without_its_place(tmp_path, capsys, text):
    document = tmp_path / "README.md"
    document.write_text(text)
    assert main(["compare", run_of(tmp_path), "--write", str(document)]) == 2
    assert document.read_text() == text and "must contain" in capsys.readouterr().err


def test_what_is_not_a_run(tmp_path, capsys):
    path = tmp_path / "other.json"
    for text, said in (("{", "not JSON"), ("[]", "not what"), ('{"rows": []}', "not what")):
        path.write_text(text)
        assert main(["compare", str(path)]) == 2
        assert said in capsys.readouterr().err
    assert main(["compare", str(tmp_path / "none.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["compare", run_of(tmp_path, ["c0001_k0001_001x001_9x9_s1"])]) == 2
    assert "not a layer" in capsys.readouterr().err
