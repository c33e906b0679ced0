"""Sweeps over sizes: their points, their cliffs, their picture; and the roofline's."""

import json

import pytest

from fastconv.__main__ import main
from fastconv.bench import scaling
from fastconv.networks import network


def test_sizes_are_dense_around_powers_of_two():
    sizes = set(scaling.SIZES)
    assert min(sizes) == 16 and max(sizes) == 512
    for power in (16, 32, 64, 128, 256, 512):
        assert {p for p in range(power - 3, power + 4) if 16 <= p <= 512} <= sizes
    pairs = zip(scaling.SIZES, scaling.SIZES[1:], strict=False)
    assert all(b <= 1.26 * a for a, b in pairs), "neighbours are near"


def test_points():
    found = scaling.points(2)
    assert len(set(found)) == len(found)
    for point in found:
        layer = point.layer
        assert (layer.oh, layer.ow) == (layer.h, layer.w)
        sizes = {"C": layer.c, "K": layer.k, "H": layer.h, "N": point.batch, "threads": point.threads}
        assert sizes[point.axis] == point.size
        assert layer.groups == (layer.c if point.kind.startswith("depthwise") else 1)
        assert point.axis == "threads" or point.threads == 2
    assert not [point for point in found if point.kind.startswith("depthwise") and point.axis == "K"]


def entry(size, seconds, axis="C", flops=None):
    return {"kind": "3x3", "axis": axis, "size": size, "threads": 1, "flops": flops or size * 1000, "seconds": seconds}


def test_cliffs():
    flat, steep = entry(16, 16.0), entry(17, 34.0)
    assert scaling.cliff(flat, steep) == scaling.cliff(steep, flat) == pytest.approx(2)
    assert scaling.cliff(flat, entry(20, 20.0)) == pytest.approx(1)
    found = [flat, steep, entry(18, 36.0), entry(16, 100.0, "H"), entry(1, 1.0, "N"), entry(2, 9.0, "N")]
    ranked = scaling.worst(found)
    assert [(a["size"], b["size"]) for _, a, b in ranked] == [(16, 17), (17, 18)], "one line each, sizes only"
    text = scaling.summary(found)
    assert "16-17: 2.00" in text and "1 of 2 over 1.5" in text


def test_a_cliff_is_measured_again(monkeypatch):
    """A disturbed point does not stay one, a real cliff does."""
    times = {16: [1.0], 17: [9.0, 1.0], 18: [1.0], 19: [5.0, 5.0]}

    def seconds(point, *given):
        left = times[point.size]
        return left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(scaling, "seconds", seconds)
    wanted = scaling.points(1, ("1x1",), ("C",), (16, 17, 18, 19))
    found = list(scaling.measure(wanted, "channels_first", "float32", "layer"))
    assert [(one["size"], one["seconds"]) for one in found] == [(16, 1.0), (17, 1.0), (18, 1.0), (19, 5.0)]


def test_a_point_is_timed():
    (point,) = scaling.points(1, ("1x1",), ("C",), (16,))
    assert 0 < scaling.seconds(point, "channels_last", "float64", "function", 1e-3) < 1


def test_command_line(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    few = scaling.points(1, axes=("C", "K", "threads"), sizes=(16, 17, 20))
    monkeypatch.setattr(scaling, "points", lambda threads: few)
    monkeypatch.setattr(scaling, "BUDGET", 1e-4)
    file = tmp_path / "scaling.json"
    assert main(["bench", "--scaling", "--threads", "1", "--json", str(file), "--plot", str(tmp_path / "a.png")]) == 0
    printed = capsys.readouterr().out
    assert f"[{len(few)}/{len(few)}]" in printed and "time per FLOP of neighbours" in printed
    data = json.loads(file.read_text())
    assert [(p["kind"], p["axis"], p["size"]) for p in data["points"]] == [(p.kind, p.axis, p.size) for p in few]
    assert main(["compare", str(file), "--plot", str(tmp_path / "b.png")]) == 0
    assert "time per FLOP of neighbours" in capsys.readouterr().out
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    for wrong in (["compare", str(file), "--write", "x"], ["bench", "--scaling", "--batch", "2"],
                  ["bench", "--scaling", "--pass", "training"]):  # fmt: skip
        assert main(wrong) == 2
        assert "--scaling" in capsys.readouterr().err


def test_roofline(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    file, picture = tmp_path / "run.json", tmp_path / "roof.png"
    assert main(["bench", "lenet5", "--threads", "1", "--json", str(file)]) == 0
    assert main(["compare", str(file), "--roofline", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    data = json.loads(file.read_text())
    layers = {layer.label: layer for layer in network("lenet5")}
    assert all(row["bytes"] == layers[row["layer"]].bytes() for row in data["rows"])
    capsys.readouterr()
    file.write_text(json.dumps({**data, "roof": None}))
    assert main(["compare", str(file), "--roofline", str(picture)]) == 2
    assert "older version" in capsys.readouterr().err
