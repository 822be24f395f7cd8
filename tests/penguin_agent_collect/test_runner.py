"""What a plugin prints, and what becomes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from penguindome.reports import OutputStatus


@pytest.mark.parametrize(
    ("script", "status", "text"),
    [
        ("""echo '{"b": 1, "a": [true]}'""", OutputStatus.OK, b'{"a":[true],"b":1}'),
        ("""echo '"unknown"'""", OutputStatus.UNKNOWN, b'"unknown"'),
        ("echo null", OutputStatus.NOT_APPLICABLE, b""),
        ("""echo '{"inner": "unknown"}'""", OutputStatus.OK, b'{"inner":"unknown"}'),
        ("echo false", OutputStatus.OK, b"false"),
        ("""echo '{"x": {"cached_at": "2026-01-01"}}'""", OutputStatus.OK, None),
    ],
)
def test_what_is_printed_decides_the_status(bed, script, status, text):
    output = bed.run(bed.shell("plugin", script)).output
    assert output.status is status
    assert text is None or output.json == text
    assert output.reason == ""


def test_cached_answer_carries_the_time_it_was_given(bed):
    path = bed.shell("plugin", """echo '{"a": 1, "cached_at": "2026-01-02T03:04:05+00:00"}'""")
    output = bed.run(path).output
    assert output.status is OutputStatus.CACHED
    assert output.cached_time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo first >&2; echo 'last line' >&2; exit 3", "exit 3: last line"),
        ("exit 4", "exit 4"),
        ("kill -9 $$", "killed by signal 9"),
        (":", "printed nothing"),
        ("echo '{\"a\": 1'", "not JSON: "),
        ("echo NaN", "not JSON: "),
        ("""echo '{"a":1,"a":2}'""", "not JSON: "),
        (r"printf '\377\376\"\000'", "not JSON: "),
        ("head -c 300000 /dev/zero | tr '\\0' '['", "not JSON: "),
        (r"printf 'evil\033[31m\nline \342\200\256 end' >&2; exit 1", "exit 1: line"),
    ],
)
def test_failure_is_named_in_one_line(bed, script, reason):
    ran = bed.run(bed.shell("plugin", script))
    assert ran.output.status is OutputStatus.ERROR
    assert ran.output.json == b""
    assert ran.output.reason.startswith(reason)
    assert ran.output.reason.isprintable()
    assert len(ran.output.reason) <= 200
    assert not ran.abused


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("missing-interpreter", "#!/no/such/interpreter\n"),
        ("no-format", "\x7fELF nothing\n"),
    ],
)
def test_plugin_that_cannot_start_is_an_error(bed, name, text):
    output = bed.run(bed.write(name, text)).output
    assert output.status is OutputStatus.ERROR
    assert output.reason


def test_plugin_that_vanished_is_an_error(bed):
    path = bed.shell("plugin", "echo 1")
    path.unlink()
    assert bed.run(path).output.status is OutputStatus.ERROR


def test_any_language_may_write_a_plugin(bed):
    path = bed.write("perl", "#!/usr/bin/perl\nprint '{\"perl\": 1}';\n")
    assert bed.run(path).output.json == b'{"perl":1}'


def test_environment_is_the_exact_allow_list(bed, monkeypatch):
    poisoned = ("LD_PRELOAD", "PYTHONPATH", "GNUPGHOME", "http_proxy", "SSL_CERT_FILE", "SECRET")
    for name in poisoned:
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("PATH", f"/evil:{bed.work}")
    path = bed.write("plugin", "#!/usr/bin/perl\nuse JSON::PP; print encode_json(\\%ENV);\n")
    environment = json.loads(bed.run(path).output.json)
    assert environment == {
        "PATH": f"{bed.work}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "PD_VAR_DIR": str(bed.var),
        "PD_PLUGIN_NAME": "plugin",
        "PD_SETTINGS": "",
    }


def test_python_plugin_gets_the_agents_interpreter_and_nothing_else(bed, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/evil")
    text = "import json, os, sys, penguindome\nprint(json.dumps([sorted(os.environ), sys.path]))"
    names, paths = json.loads(bed.run(bed.python("plugin", text)).output.json)
    allowed = {"PATH", "LANG", "PD_VAR_DIR", "PD_PLUGIN_NAME", "PD_SETTINGS", "PWD", "PYTHONPATH"}
    assert set(names) <= allowed | {"LC_CTYPE"}
    assert "/evil" not in paths


def test_plugin_has_an_empty_private_folder_no_input_and_no_strange_descriptors(bed):
    path = bed.python(
        "plugin",
        """
        import json, os, stat, sys
        mode = stat.S_IMODE(os.stat(".").st_mode)
        open("rubbish", "w").write("x")
        descriptors = [fd for fd in range(3, 100) if os.path.exists(f"/proc/self/fd/{fd}")]
        print(json.dumps([os.getcwd(), mode, sys.stdin.read(), descriptors, os.nice(0)]))
        """,
    )
    folder, mode, text, descriptors, nice = json.loads(bed.run(path).output.json)
    assert folder.startswith(f"{bed.work}/scratch/")
    assert (mode, text, descriptors, nice) == (0o700, "", [], 19)
    assert list((bed.work / "scratch").iterdir()) == []


def test_limits_are_set(bed):
    path = bed.python(
        "plugin",
        """
        import json, resource as r
        names = ("AS", "FSIZE", "NOFILE", "CORE", "CPU")
        print(json.dumps([r.getrlimit(getattr(r, f"RLIMIT_{n}"))[1] for n in names]))
        """,
    )
    found = json.loads(bed.run(path).output.json)
    assert found == [1024**3, 16 * 1024**2, 256, 0, 60]


def test_a_plugin_is_the_first_to_go_when_memory_runs_out(bed):
    output = bed.run(bed.shell("plugin", "cat /proc/self/oom_score_adj")).output
    assert int(output.json) == 800
