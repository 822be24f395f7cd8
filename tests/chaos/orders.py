"""Kill an agent again and again while orders come, for as long as there is time.

What must hold afterwards: each order was done once at most, what the device says of it is true,
none is lost, and the device is still the one that it was.

Run: python -m tests.chaos.orders [--minutes 10] [--seed 1]
"""

from __future__ import annotations

import argparse
import random
import sys

from tests.attacks.kit.killing import kill_for
from tests.attacks.kit.world import world_of
from tests.penguindome.signing import Fleet, gpg_home


def main() -> int:
    """Kill, and say what came of it; the exit code is 1 if anything broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with gpg_home() as home, world_of(Fleet(home)) as world:
        before = world.device_id
        tally = kill_for(world, options.minutes * 60, random.Random(options.seed))
        world.control()
        if list(world.server.devices) != [before]:
            tally.broken.append("the device is another one")
    sys.stdout.write(f"{tally.kills} kills; orders by their end: {tally.ends}\n")
    for one in tally.broken:
        sys.stdout.write(f"BROKEN {one}\n")
    return 1 if tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
