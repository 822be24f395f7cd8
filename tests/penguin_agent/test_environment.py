"""A poisoned environment reaches neither the program nor its libraries."""

import json
import os
import subprocess
import sys

import pytest

from penguin_agent.environment import (
    SYSTEM_PATH,
    acts_early,
    clean_environment,
    package_folders,
    restart_command,
)
from penguindome.grpc_environment import SETTINGS

POISON = {
    "PATH": "/tmp/evil",
    "PYTHONSTARTUP": "/tmp/evil.py",
    "LD_PRELOAD": "/tmp/evil.so",
    "LD_LIBRARY_PATH": "/tmp/evil",
    "GNUPGHOME": "/tmp/evil",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "SSL_CERT_FILE": "/tmp/evil.pem",
    "SSLKEYLOGFILE": "/tmp/keys",
    "OPENSSL_CONF": "/tmp/evil.cnf",
    "GRPC_TRACE": "all",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": "/tmp/evil.pem",
    "TMPDIR": "/tmp/evil",
    "XDG_CONFIG_HOME": "/tmp/evil",
}


def test_only_known_variables_are_kept():
    kept = clean_environment({**POISON, "LANG": "C.UTF-8", "NOTIFY_SOCKET": "/run/n"})
    assert kept == {
        "PATH": SYSTEM_PATH,
        "LANG": "C.UTF-8",
        "NOTIFY_SOCKET": "/run/n",
        **SETTINGS,
    }


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PYTHONPATH", "PYTHONHOME", "OPENSSL_CONF"])
def test_what_acts_before_us_needs_a_new_start(name):
    assert acts_early({name: "x"})
    assert not acts_early(clean_environment({name: "x"}))


def test_our_folders_come_last_and_the_interpreter_is_isolated():
    command = restart_command(["status"], ["/somewhere"])
    assert command[:4] == [sys.executable, "-I", "-B", "-c"]
    assert "sys.path +=" in command[4]
    assert command[5:] == ["status"]


def test_modules_planted_by_pythonpath_are_not_imported(tmp_path):
    for name in ("tomllib", "grpc", "logbook"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('poisoned')\n")
    script = "import sys; from penguin_agent.cli import main; sys.exit(main(sys.argv[1:]))"
    folders = os.pathsep.join([str(tmp_path), *package_folders()])
    config = tmp_path / "agent.toml"
    config.write_text(f'[paths]\nstate_dir = "{tmp_path}/none"\nruntime_dir = "{tmp_path}/run"\n')
    done = subprocess.run(
        [sys.executable, "-c", script, "--config", str(config), "status", "-o", "json"],
        env={**POISON, "PYTHONPATH": folders, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert "poisoned" not in done.stderr
    assert json.loads(done.stdout)["running"] is False
