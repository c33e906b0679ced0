"""A run's JSON as a Markdown table, and its place in a document."""

from __future__ import annotations

import json
from pathlib import Path

from fastconv.bench.passes import PASSES
from fastconv.bench.peers import LIBRARIES, PEERS
from fastconv.bench.runner import geometric_mean
from fastconv.networks import Layer, all_layers

START, END = "<!-- comparison -->", "<!-- /comparison -->"
HEADS = {**{name: name for name in LIBRARIES}, "torch": "torch (best format)", "scipy": "scipy (better module)"}


KINDS = ("1x1", "depthwise", "3x3, stride 1", "other", "1-D", "3-D", "transposed", "pool")


def kind(layer: Layer) -> str:
    """The group that a layer is counted in; those of two dimensions by their kernels."""
    if "pool" in layer.op:
        return "pool"
    if layer.transposed:
        return "transposed"
    if not layer.op.endswith("2d"):
        return "1-D" if layer.op.endswith("1d") else "3-D"
    if layer.groups > 1 and layer.groups == layer.c:
        return "depthwise"
    if (layer.r, layer.s) == (1, 1):
        return "1x1"
    return "3x3, stride 1" if (layer.r, layer.s, *layer.stride) == (3, 3, 1, 1) else "other"


def grouped(data: dict) -> dict[str, list[dict]]:
    """The rows of a run by kind of layer."""
    layers = {layer.label: layer for layer in all_layers()}
    groups: dict[str, list[dict]] = {name: [] for name in KINDS}
    for row in data["rows"]:
        if row["layer"] not in layers:
            raise ValueError(f"{row['layer']!r} is not a layer of a known network")
        groups[kind(layers[row["layer"]])].append(row)
    return groups


def fastest(row: dict, name: str) -> float | None:
    """A peer's seconds in its best format, if it did the layer."""
    return min((seconds for peer, seconds in row["peers_s"].items() if peer.startswith(name)), default=None)


def markdown(data: dict) -> str:
    """Speed ratios by group of layers: geometric mean, and the least in brackets."""
    groups = {**grouped(data), "all": data["rows"]}
    heads = [name for name in HEADS if any(fastest(row, name) for row in data["rows"])]
    lines = ["| layers | " + " | ".join(HEADS[name] for name in heads) + " | % of peak |"]
    lines.append("|---" * (len(heads) + 2) + "|")
    for name, rows in groups.items():
        if rows:
            cells = [_cell(rows, peer) for peer in heads]
            lines.append(f"| {name} ({len(rows)}) | " + " | ".join(cells) + f" | {_share(rows):.0f} |")
    machine, options, pass_ = data["machine"], data["options"], pass_of(data)
    if pass_ == "forward":
        new = [name for name in heads if anew(name)]
        held = (f"{' and '.join(new) or 'None'} held against `conv2d` (weights new at each call), the others against "
                "`Conv2d` (weights packed once), all interleaved")  # fmt: skip
    else:
        held = f"torch is held against {PASSES[pass_].function} (pass {pass_}), interleaved"
    known = ", ".join(f"{name} {version}" for name, version in data.get("versions", {}).items() if name in heads)
    lines += [
        "",
        f"{machine['cpu']} ({machine['core']}, {machine['isa']}), {machine['date']}: every layer of "
        f"{'the networks' if options['network'] == 'all' else options['network']}, once each, {options['dtype']}, "
        f"{options['layout']}, batch {options['batch']}; geometric mean of the peer's time over ours, the least in "
        f"brackets. {held} in one process with {threads_of(data)}. % of peak: of the multiply-adds that registers "
        f"alone reach." + (f" {known}." if known else ""),
    ]
    return "\n".join(lines)


def threads_of(data: dict) -> str:
    """How many threads a run had; old ones do not say."""
    count = (data.get("roof") or {}).get("threads")
    return f"{count} thread{'s' * (count > 1)} each" if count else "as many threads as we have"


def anew(name: str) -> bool:
    """Whether a library is given weights anew at each call."""
    return PEERS[LIBRARIES[name][0]].anew


def pass_of(data: dict) -> str:
    """The pass that a run timed; old ones do not say."""
    return data["options"].get("pass_", "forward")


def _cell(rows: list[dict], name: str) -> str:
    ours = "function_s" if anew(name) else "layer_s"
    ratios = [fastest(row, name) / (row[ours] or row["function_s"] or row["layer_s"])
              for row in rows if fastest(row, name)]  # fmt: skip
    return f"{geometric_mean(ratios):.2f} ({min(ratios):.2f})" if ratios else "-"


def _share(rows: list[dict]) -> float:
    """Percent of peak over all rows together, but pools, which multiply nothing."""
    rows = [row for row in rows if row["flops"]]
    if not rows:
        return 0.0
    seconds = sum(row["layer_s"] or row["function_s"] for row in rows)
    return 100 * sum(row["flops"] for row in rows) / seconds / 1e9 / max(row["peak_gflops"] for row in rows)


def write(table: str, path: str, start: str = START, end: str = END) -> None:
    """Put the table between the markers of a document."""
    before, after = place(path, start, end)
    Path(path).write_text(f"{before}{start}\n{table}\n{end}{after}")


def place(path: str, start: str, end: str) -> tuple[str, str]:
    """What stands before and after a document's markers."""
    try:
        text = Path(path).read_text()
    except OSError as failure:
        raise ValueError(f"{path} cannot be read: {failure.strerror}") from None
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ValueError(f"{path} must contain {start} and, after it, {end}, once each")
    return text.split(start)[0], text.split(end)[1]


def load(path: str) -> dict:
    """A run's JSON, by itself or within that of pytest-benchmark."""
    try:
        data = json.loads(Path(path).read_text())
    except OSError as failure:
        raise ValueError(f"{path} cannot be read: {failure.strerror}") from None
    except ValueError:
        raise ValueError(f"{path} is not JSON") from None
    data = data.get("fastconv", data) if isinstance(data, dict) else {}
    if not data.get("rows") and not data.get("points"):
        raise ValueError(f"{path} is not what `python -m fastconv bench --json` or `pytest benchmarks/peers` writes")
    return data
