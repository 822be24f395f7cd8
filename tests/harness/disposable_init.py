"""Process 1 of a disposable machine: builds its root on a tmpfs, goes there, and lets go of ours.

Arguments: an empty folder, the namespaces of whoever starts it with commas between, then the
folders that are shown read-only at their own places.
"""

import os
import pathlib
import select
import signal
import socket
import subprocess
import sys

HOSTNAME = "penguin"
NAMESPACES = ("mnt", "pid", "uts", "ipc", "net")
NODES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}
FOLDERS = ("dev", "etc/default", "home", "old", "proc", "run/cryptsetup", "run/lock", "sys")
MORE = ("sys/class/block", "tmp", "usr", "var/lib", "var/mail", "var/tmp")
FILES = {
    "passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
    ),
    "group": "root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\nmail:x:8:\n",
    "shadow": "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\nnobody:*:19000::::::\n",
    "gshadow": "root:*::\ndaemon:*::\nnogroup:*::\nmail:*::\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\n",
    "login.defs": "UID_MIN 1000\nUID_MAX 60000\nGID_MIN 1000\nGID_MAX 60000\nUSERGROUPS_ENAB yes\n",
    "default/useradd": "HOME=/home\n",
    "subuid": "",
    "subgid": "",
}
SECRET = {"shadow", "gshadow"}


def mount(*words: str) -> None:
    """Mount, or fail."""
    subprocess.run(["mount", *words], check=True, timeout=30)


def show(folder: str, new: pathlib.Path) -> None:
    """Show one of our folders there, read-only."""
    place = new / folder.lstrip("/")
    place.mkdir(parents=True, exist_ok=True)
    mount("--bind", folder, str(place))
    mount("-o", "remount,bind,ro", str(place))


def fill(new: pathlib.Path) -> None:
    """Make what a machine has."""
    for folder in (*FOLDERS, *MORE):
        (new / folder).mkdir(parents=True, exist_ok=True)
    (new / "root").mkdir(mode=0o700)
    (new / "tmp").chmod(0o1777)
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        ours = pathlib.Path("/", name)
        if ours.is_symlink():
            (new / name).symlink_to(ours.readlink())
        elif ours.is_dir():
            show(str(ours), new)
    for name, minor in NODES.items():
        os.mknod(new / "dev" / name, 0o20666, os.makedev(1, minor))
        (new / "dev" / name).chmod(0o666)
    (new / "dev/fd").symlink_to("/proc/self/fd")
    for name, text in FILES.items():
        (new / "etc" / name).write_text(text, encoding="utf-8")
        (new / "etc" / name).chmod(0o600 if name in SECRET else 0o644)
    cache = pathlib.Path("/etc/ld.so.cache")
    (new / "etc/ld.so.cache").write_bytes(cache.read_bytes())


def enter(new: pathlib.Path) -> None:
    """Make the new root the only one."""
    mount("-t", "proc", "proc", str(new / "proc"))
    os.chdir(new)
    subprocess.run(["pivot_root", ".", "old"], check=True, timeout=30)
    os.chroot(".")
    os.chdir("/")
    subprocess.run(["umount", "--lazy", "/old"], check=True, timeout=30)
    pathlib.Path("/old").rmdir()


def check_alone(outer: list[str]) -> None:
    """Refuse to go on where anything that is done here could reach the real machine."""
    mine = {str(pathlib.Path(f"/proc/self/ns/{name}").readlink()) for name in NAMESPACES}
    if os.getpid() != 1 or len(outer) != len(NAMESPACES) or mine & set(outer):
        raise SystemExit("not in namespaces of its own")


def serve() -> None:
    """Bury the dead until whoever made this machine is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([sys.stdin], [], [], 0.05)
        if ready and not sys.stdin.read(1):
            return
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            continue


def main() -> None:
    """Become a machine."""
    check_alone(sys.argv[2].split(","))
    new = pathlib.Path(sys.argv[1])
    mount("-t", "tmpfs", "-o", "mode=0755,size=256m", "tmpfs", str(new))
    fill(new)
    for folder in sys.argv[3:]:
        show(folder, new)
    enter(new)
    socket.sethostname(HOSTNAME)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    serve()


if __name__ == "__main__":
    main()
