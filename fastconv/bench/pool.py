"""Time pools: those of all networks, and large, long or deep windows; ours and PyTorch's two formats in turns."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastconv as fc
from fastconv.bench.runner import dtype_of, geometric_mean, in_turns
from fastconv.networks import all_layers

BUDGET = 0.04  # seconds for each call of a case
PASSES = ("forward", "input_grad")


@dataclass(frozen=True)
class Case:
    """One pool: its kind, channels, spatial sizes and window, and how many layers of the networks are like it."""

    kind: str
    c: int
    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    ceil: bool = False
    count: int = 1

    @property
    def op(self) -> str:
        """The public name."""
        return f"{self.kind}_pool{len(self.sizes)}d"

    @property
    def label(self) -> str:
        """A short name."""
        texts = ("x".join(map(str, sizes)) for sizes in (self.sizes, self.kernel, self.stride, self.padding))
        size, kernel, stride, padding = texts
        return f"{self.op}_c{self.c}_{size}_k{kernel}_s{stride}_p{padding}" + "_ceil" * self.ceil


def cases() -> list[Case]:
    """Every pooling layer with a sliding window, then what networks have not."""
    found = [
        Case(x.op[:3], x.c, (x.h, x.w), (x.r, x.s), x.stride, x.padding, any(x.extra), x.count)
        for x in all_layers()
        if x.op in ("max_pool2d", "avg_pool2d")
    ]
    for kind in ("max", "avg"):
        found += [
            Case(kind, 64, (112, 112), (k, k), (1, 1), (k // 2, k // 2)) for k in (3, 13, 31)
        ] + [
            Case(kind, 64, (112, 112), (7, 7), (4, 4), (3, 3)),
            Case(kind, 64, (16384,), (3,), (2,), (1,)),
            Case(kind, 64, (16384,), (31,), (1,), (15,)),
            Case(kind, 32, (16, 56, 56), (2, 2, 2), (2, 2, 2), (0, 0, 0)),
            Case(kind, 32, (16, 56, 56), (3, 3, 3), (1, 1, 1), (1, 1, 1)),
        ]  # fmt: skip
    return found


def calls(case: Case, pass_: str, layout: str, batch: int, dtype: np.dtype) -> tuple[Callable, dict[str, np.ndarray]]:
    """Our call and the arrays that it works on, channels first in memory order of the layout."""
    rng = np.random.default_rng(sum(case.label.encode()))
    shape = (batch, case.c, *case.sizes)
    x = rng.standard_normal(shape, np.float32).astype(dtype)
    x = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if layout == "channels_last" else x
    pool = getattr(fc, case.op)
    window: tuple[Any, ...] = (case.kernel, case.stride, case.padding)
    options = {"ceil_mode": case.ceil, "layout": layout}
    if pass_ == "forward":
        return lambda: pool(x, *window, **options), {"x": x}
    gradient = getattr(fc, f"{case.op}_backward")
    if case.kind == "max":
        y, indices = pool(x, *window, return_indices=True, **options)
        return lambda: gradient(y, indices, x.shape, layout=layout), {"x": x, "dy": y, "indices": indices}
    y = pool(x, *window, **options)
    return lambda: gradient(y, x.shape, *window, **options), {"x": x, "dy": y}


def torch_calls(case: Case, pass_: str, layout: str, arrays: dict[str, np.ndarray], threads: int) -> list[Callable]:
    """PyTorch's calls in its formats; one-dimensional arrays have no other than channels first."""
    import torch

    torch.set_num_threads(threads)
    dims = len(case.sizes)
    forms = [torch.contiguous_format]
    forms += [{2: torch.channels_last, 3: torch.channels_last_3d}[dims]] if dims > 1 else []
    window = (case.kernel, case.stride, case.padding)
    made = []
    for form in forms:
        held = {
            name: torch.from_numpy(np.ascontiguousarray(np.moveaxis(a, -1, 1) if layout == "channels_last" else a))
            .contiguous(memory_format=form)
            for name, a in arrays.items()
        }  # fmt: skip
        made.append(_torch_call(torch, case, pass_, window, held))
    return made


def _torch_call(torch, case: Case, pass_: str, window: tuple, held: dict) -> Callable:
    def quietly(run):
        def call():
            with torch.inference_mode():
                return run()

        return call

    if pass_ == "forward":
        pool = getattr(torch.nn.functional, case.op)
        return quietly(lambda: pool(held["x"], *window, ceil_mode=case.ceil))
    aten, ones = torch.ops.aten, [1] * len(case.sizes)
    if len(case.sizes) == 1:  # whose gradient is that of two dimensions
        held = {name: a.unsqueeze(-2) for name, a in held.items()}
        window = tuple((before, *sizes) for before, sizes in zip((1, 1, 0), window, strict=True))
        ones, dims = [1, 1], 2
    else:
        dims = len(case.sizes)
    if case.kind == "max":
        gradient = getattr(aten, f"max_pool{dims}d_with_indices_backward")
        return quietly(lambda: gradient(held["dy"], held["x"], *window, ones, case.ceil, held["indices"]))
    gradient = getattr(aten, f"avg_pool{dims}d_backward")
    return quietly(lambda: gradient(held["dy"], held["x"], *window, case.ceil, True, None))


def run(
    against: str, pass_: str, layout: str, dtype: str, threads: int, batch: int, budget: float = 0.04
) -> list[dict]:
    """Print a line for every pool, and how many times PyTorch's better format takes in the geometric mean."""
    if pass_ not in PASSES:
        raise ValueError(f"--pass: pools have {' and '.join(PASSES)}, not {pass_}")
    if against not in ("", "torch"):
        raise ValueError(f"--against: pools are held against torch only, not {against}")
    torch_here = bool(against) and importlib.util.find_spec("torch") is not None
    rows, kind = [], dtype_of(dtype)
    print(f"pools, {pass_}, {dtype}, {layout}, batch {batch}, {threads} threads")
    with fc.num_threads(threads):
        for case in cases():
            ours, arrays = calls(case, pass_, layout, batch, kind)
            peers = torch_calls(case, pass_, layout, arrays, threads) if torch_here else []
            mine, *others = in_turns([ours, *peers], BUDGET)
            moved = sum(a.nbytes for a in arrays.values()) + ours().nbytes
            row = {"label": case.label, "count": case.count, "ms": mine * 1e3, "GB/s": moved / mine / 1e9,
                   "torch": [t * 1e3 for t in others]}  # fmt: skip
            rows.append(row)
            text = f"{case.label:<58} {mine * 1e3:9.4f} ms {row['GB/s']:7.1f} GB/s"
            if others:
                row["ratio"] = min(others) / mine
                text += "  torch " + " ".join(f"{t * 1e3:9.4f}" for t in others) + f"  x{row['ratio']:.2f}"
            print(text, flush=True)
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    if ratios:
        print(f"{len(rows)} pools: {geometric_mean(ratios):.2f} times torch's better format, least {min(ratios):.2f}")
    return rows
