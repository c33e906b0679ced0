"""Profiles and fixtures. Every random number comes from a seed that the test's name fixes."""

import gc
import os
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

_COMMON = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
settings.register_profile("default", max_examples=150, **_COMMON)
settings.register_profile("thorough", max_examples=5000, **_COMMON)
settings.load_profile("default")


@pytest.fixture
def rng(request):
    """A generator seeded by the test's own name, so that a failure can be replayed."""
    return np.random.default_rng(zlib.crc32(request.node.name.encode()))


def pytest_collection_finish():
    """Thousands of collected tests live until the end: a garbage collection need not look at them each time."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config, items):
    """Of a test marked `checkerboard` run every other combination, or every n-th, so that any two parameters' values
    still meet; FASTCONV_ALL_CASES=1 runs all."""
    if os.environ.get("FASTCONV_ALL_CASES", "0") not in ("", "0"):
        return
    places: dict[tuple, dict[str, int]] = {}

    def place(item, name, value):
        """A parameter's place among its values, in the order in which they come."""
        known = places.setdefault((item.path, item.originalname, name), {})
        return known.setdefault(repr(value), len(known))

    marked = [item for item in items if item.get_closest_marker("checkerboard")]
    skipped = set()
    for item in marked:
        (every,) = item.get_closest_marker("checkerboard").args or (2,)
        if sum(place(item, *pair) for pair in item.callspec.params.items()) % every:
            skipped.add(item)
    if skipped:
        config.hook.pytest_deselected(items=list(skipped))
        items[:] = [item for item in items if item not in skipped]
