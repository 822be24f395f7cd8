"""The first mistakes with listeners: each is refused with its reason, and nothing is changed."""

import pytest

from tests.harness.server import server_not_set_up

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def server():
    with server_not_set_up() as made:
        made.run("setup", "--yes", "--state-dir", made.folder / "state")
        yield made


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("remove", "old"), 1, "there are: main, bootstrap"),
        (("remove", "main"), 1, "ports add"),
        (("configure", "main"), 2, "Say what to change"),
        (("configure", "main", "--key", "/k"), 1, "--certificate and --key go together"),
        (("configure", "main", "--name", "x"), 1, "add --generate"),
        (
            ("configure", "main", "--generate", "--certificate", "/c", "--key", "/k"),
            1,
            "exclude each other",
        ),
        (("configure", "main", "--certificate", "/c", "--key", "/k"), 1, "/k"),
        (("add", "main", "--kind", "main", "--port", "9000"), 1, "no name"),
    ],
)
def test_what_is_wrong_about_listeners_is_said(server, words, status, said):
    before = server.config.read_bytes()
    done = server.try_run("ports", *words)
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)
    assert said in done.stderr
    assert server.config.read_bytes() == before
