"""Every layer, ours beside other libraries: `pytest benchmarks/peers`, with what pytest-benchmark offers.

The libraries of a layer are timed in turns, by the loop that all benchmarks share, so that a disturbance meets them all
alike; pytest-benchmark, which times one test after the other, is given the runs that were noted. A result that is wrong
is not timed.
"""

import pytest

READINGS = []  # of a clock, before and after each run


def interleaved():
    """The clock that pytest-benchmark reads: it shows what was noted."""
    return READINGS.pop()


def replay(runs):
    """Set the clock to show these runs, one after the other."""
    now = 0.0
    for seconds in runs:
        READINGS.append(now)
        now += seconds
        READINGS.append(now)
    READINGS.reverse()


@pytest.mark.benchmark(timer=interleaved, warmup=False)
def test_layer(benchmark, comparison_run, layer, library):
    row = comparison_run.row(layer)
    if library not in row.runs:
        benchmark.skipped = True
        pytest.skip(next((note for note in row.notes if note.startswith(library)), "it has no weights to hold"))
    benchmark.group = layer.label
    benchmark.extra_info.update(flops=row.flops, bytes=row.bytes, count=layer.count, algorithm=row.algorithm)
    runs = row.runs[library]
    replay(runs)
    benchmark.pedantic(lambda: None, rounds=len(runs))
