"""Memory that is kept: what is needed again and again is not taken anew each time."""

import subprocess
import sys

FAULTS = """
import resource, sys
from penguindome.memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(100):
        # A message, and what it is made of on its way.
        held = [bytearray(size) for size in (480_000, 700_000, 1_000_000)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
handed_back = faults()
assert keep_freed_memory(16 * 1024 * 1024, 4 * 1024 * 1024)
faults()
print(handed_back, faults())
"""


def test_messages_that_follow_one_another_find_their_memory_again():
    line = [sys.executable, "-c", FAULTS]
    done = subprocess.run(line, check=True, capture_output=True, text=True, timeout=60)
    handed_back, kept = map(int, done.stdout.split())
    assert handed_back > 10_000
    assert kept < 100
