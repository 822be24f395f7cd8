from __future__ import annotations

import pytest

from penguind.config import load_settings
from penguindome.errors import InvalidInput

SMTP = '[alerts]\nmail_from = "a@example.org"\n[alerts.smtp]\nhost = "mail.example.org"\n'
HOOK = '[alerts.webhooks.chat]\nsecret_file = "/s"\n'


def alerts(tmp_path, text):
    path = tmp_path / "penguind.toml"
    path.write_text(text)
    return load_settings(path).alerts


def test_nothing_is_told_unless_somebody_is_named(tmp_path):
    found = alerts(tmp_path, "")
    assert found.enabled
    assert not found.mails
    assert (found.mail_to, found.webhooks, found.user_mail) == ((), {}, False)
    assert found.immediate == {"critical", "high"}


def test_ports_follow_from_security(tmp_path):
    for security, port in (("starttls", 587), ("tls", 465)):
        text = SMTP + f'security = "{security}"\n'
        assert alerts(tmp_path, text).smtp.port == port
    local = SMTP.replace("mail.example.org", "::1") + 'security = "none"\n'
    assert alerts(tmp_path, local).smtp.port == 25
    plain = SMTP + 'security = "none"\nallow_plain = true\n'
    assert alerts(tmp_path, plain).smtp.security == "none"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (SMTP + 'security = "none"', "only for a server on this machine"),
        (SMTP + 'username = "u"', "go together"),
        ('[alerts]\nmail_to = ["a@example.org"]', "smtp.host is missing"),
        ('[alerts.smtp]\nhost = "h"', "mail_from is missing"),
        ('[alerts]\nmail_from = "a@b\\r\\nBcc: c@d"', "no mail address"),
        ('[alerts]\nmail_to = ["a, b@c"]', "no mail address"),
        ('[alerts]\nimmediate = ["urgent"]', "possible: low"),
        ('[alerts]\ndigest_time = "8 am"', "no time"),
        (HOOK, "url is missing"),
        (HOOK + 'url = "http://example.org/"', "must begin with https"),
        (HOOK + 'url = "https://u:p@example.org/"', "holds a login"),
        (HOOK + 'url = "https://exa mple.org/"', "no address"),
        (HOOK + 'url = "https://h:99999/"', "no address"),
        ('[alerts.webhooks.mail]\nurl = "https://h/"', "no name for a webhook"),
        ('[alerts.webhooks.chat]\nurl = "https://h/"', "secret_file is missing"),
        ("[alerts]\nmail_too = []", "unknown"),
    ],
)
def test_what_cannot_be_is_named(tmp_path, text, word):
    with pytest.raises(InvalidInput) as caught:
        alerts(tmp_path, text)
    assert word in str(caught.value)


def test_http_to_this_machine_is_allowed(tmp_path):
    found = alerts(tmp_path, HOOK + 'url = "http://127.0.0.1:8080/x"')
    assert found.webhooks["chat"].url == "http://127.0.0.1:8080/x"
    assert [str(one) for one in found.secret_files()] == ["/s"]
