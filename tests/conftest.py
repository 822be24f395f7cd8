"""What holds for all tests: neither a busy machine nor one who started them is a reason to fail."""

import pathlib
import signal
import tempfile

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "calm", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("calm")

# A shell lets what it starts in the background ignore ctrl-C, and that is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def folder():
    """Return a folder with a short name: a socket's path has 108 bytes."""
    with tempfile.TemporaryDirectory(prefix="pd", dir="/tmp") as name:
        yield pathlib.Path(name)
