"""Profiles and fixtures. Every random number comes from a seed that the test's name fixes."""

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
