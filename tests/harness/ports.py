"""Free TCP ports below the range that the kernel hands out to clients."""

import random
import socket

LOWEST, HIGHEST = 20000, 32000
_taken: set[int] = set()


def is_free(port: int) -> bool:
    """Tell whether nothing listens on the port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that is free and that this process has not handed out before."""
    for _ in range(1000):
        port = random.randrange(LOWEST, HIGHEST)
        if port not in _taken and is_free(port):
            _taken.add(port)
            return port
    raise RuntimeError("no free port")


def listens(port: int) -> bool:
    """Tell whether somebody accepts connections on the port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
