"""What holds for all tests: neither a busy machine nor one who started them is a reason to fail."""

import signal

from hypothesis import HealthCheck, settings

settings.register_profile(
    "calm", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("calm")

# A shell lets what it starts in the background ignore ctrl-C, and that is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
