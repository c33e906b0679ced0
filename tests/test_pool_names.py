"""Plans of pools name no kernel that the inventory does not list."""

from dataclasses import replace

import numpy as np
import pytest
from test_pool_random import Drawn

from fastconv import dispatch
from fastconv.algorithm.pool import (
    apart,
    bands,
    channels_first,
    channels_last,
    glide,
    one_pass,
    scatter,
    slide,
    turned,
    weighted,
    whole,
)
from fastconv.microkernels.inventory import names
from fastconv.problem.pool import adaptive_problem, contiguous_steps, gradient_of, pool_problem
from fastconv.target import Target


def problems(drawn, norm):
    """Pools and gradients of a random geometry, sliding and adaptive."""
    first = drawn.layout == "channels_first"
    shape = (drawn.n, drawn.c, *drawn.sizes) if first else (drawn.n, *drawn.sizes, drawn.c)
    op, options = f"{drawn.kind}_pool{drawn.dims}d", {"dtype": drawn.dtype, "layout": drawn.layout}
    norm, indices = norm if drawn.kind == "lp" else None, drawn.kind == "max"
    sliding = (shape, drawn.kernel, drawn.stride, drawn.pads, drawn.dilation, drawn.ceil)
    found = [pool_problem(op, *sliding, norm=norm, convention=drawn.convention, indices=indices, **options)]
    sizes = (1,) * (drawn.dims - 2) + (24,) * min(2, drawn.dims)
    wide = (*shape[:2], *sizes) if first else (drawn.n, *sizes, drawn.c)
    for kernel, stride in ((9, 1), (2, 2), (4, 4), (3, 2)):  # windows that share rows, and those in one pass
        kernel = [min(size, kernel) for size in sizes]
        found.append(pool_problem(op, wide, kernel, stride, norm=norm, indices=indices, **options))
    if drawn.kind in ("max", "avg"):
        for size in (1, [min(3, s) for s in drawn.sizes], [2 * s + 1 for s in drawn.sizes]):
            found.append(adaptive_problem(f"adaptive_{op}", shape, size, indices=indices, **options))
    found += [replace(problem, indices=False) for problem in found if indices]
    return found + [gradient_of(replace(problem, indices=False)) for problem in found if differentiable(problem)]


def differentiable(problem):
    """Whether there is a gradient by the problem's own windows; a max pool's takes any, of floats."""
    return "int" not in problem.dtype and problem.convention == "torch" and not np.isinf(problem.norm)


@pytest.mark.parametrize("isa", ["avx512", "avx2", "neon", "generic"])
@pytest.mark.parametrize("kind", ["max", "avg", "lp", "weighted_avg"])
def test_every_kernel_that_pools_ask_for_is_listed(monkeypatch, kind, isa):
    """Plans of random problems name no other."""
    target, asked = Target(isa), set()

    class Asked:
        address = 1

        def __init__(self, name):
            asked.add(name)

    for file in (apart, bands, channels_first, channels_last, glide, one_pass, scatter, slide, turned, weighted, whole):
        monkeypatch.setattr(file, "microkernel", Asked)
    rng = np.random.default_rng(7)
    for _ in range(60):
        drawn, norm = Drawn(rng, kind), float(rng.choice([1, 2, 2.5, np.inf]))
        for problem in problems(drawn, norm):
            for candidate in dispatch.CANDIDATES[problem.op, problem.pass_]:
                steps = contiguous_steps(problem)
                if candidate.supports(problem, steps, target) is None:
                    candidate.build(problem, steps, target, 2, False)
    assert len(asked) > 8
    assert asked <= set(names(target))
