from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome.errors import InvalidInput
from penguindome.tokens import (
    EnrollmentToken,
    Invitation,
    decode_invitation,
    decode_token,
    encode_invitation,
    encode_token,
    hash_secret,
)

fleets = st.binary(min_size=16, max_size=16).map(bytes.hex)
thirty_two = st.binary(min_size=32, max_size=32)
hosts = st.from_regex(r"[a-z0-9.:-]{1,40}", fullmatch=True)
ports = st.integers(1, 65_535)
tokens = st.builds(
    EnrollmentToken,
    anchor=st.binary(max_size=600),
    fleet=fleets,
    trust_hash=thirty_two,
    token_id=st.binary(min_size=8, max_size=8),
    secret=thirty_two,
    host=hosts,
    main_port=ports,
    bootstrap_port=ports,
)
invitations = st.builds(
    Invitation,
    anchor=st.binary(max_size=600),
    fleet=fleets,
    invitation_id=st.binary(min_size=8, max_size=8),
    secret=thirty_two,
    host=hosts,
    main_port=ports,
    bootstrap_port=ports,
    operator_name=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True),
    trust_hash=thirty_two | st.just(b""),
)
TOKEN = EnrollmentToken(
    b"a" * 394, "0" * 32, b"h" * 32, b"i" * 8, b"s" * 32, "pd.example.org", 7443, 7444
)
LINE = encode_token(TOKEN)


@given(tokens)
def test_a_token_survives_its_line(token: EnrollmentToken) -> None:
    assert decode_token(encode_token(token)) == token


@given(invitations)
def test_an_invitation_survives_its_line(invitation: Invitation) -> None:
    assert decode_invitation(encode_invitation(invitation)) == invitation


def test_a_line_is_short_and_shows_no_secret() -> None:
    assert len(LINE) < 750
    assert "s" * 8 not in repr(TOKEN)


@given(st.integers(1, len(LINE) - 6))
def test_a_cut_line_says_so(count: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        decode_token(LINE[:-count])
    assert caught.value.code == "line-truncated"


@given(st.integers(5, len(LINE) - 1), st.sampled_from("ABCxyz019-_!é"))
def test_a_mistyped_line_is_refused(position: int, letter: str) -> None:
    line = LINE[:position] + letter + LINE[position + 1 :]
    if line == LINE:
        return
    with pytest.raises(InvalidInput) as caught:
        decode_token(line)
    assert caught.value.code in {"line-mistyped", "line-truncated"}


@given(st.integers(0, len(LINE)), st.sampled_from([" ", "\n", "\r\n", "\t"]))
def test_breaks_of_a_terminal_do_no_harm(position: int, space: str) -> None:
    assert decode_token(LINE[:position] + space + LINE[position:]) == TOKEN


@given(st.text(max_size=60) | st.text(max_size=60).map(lambda text: "pde1." + text))
def test_arbitrary_text_is_refused_politely(text: str) -> None:
    for decode in (decode_token, decode_invitation):
        with pytest.raises(InvalidInput) as caught:
            decode(text)
        assert caught.value.remedy


def test_the_wrong_kind_of_line_is_named() -> None:
    with pytest.raises(InvalidInput, match="this is an enrollment token, not an invitation"):
        decode_invitation(LINE)
    with pytest.raises(InvalidInput) as caught:
        decode_invitation("pdi1" + LINE[4:])
    assert caught.value.code == "line-mistyped"


@pytest.mark.parametrize(
    "changes",
    [{"main_port": 0}, {"host": "a b"}, {"host": ""}, {"secret": b"x"}, {"trust_hash": b""}],
)
def test_a_whole_line_with_useless_contents_is_refused(changes: dict) -> None:
    fields = {name: getattr(TOKEN, name) for name in TOKEN.__dataclass_fields__}
    with pytest.raises(InvalidInput) as caught:
        decode_token(encode_token(EnrollmentToken(**(fields | changes))))
    assert caught.value.code == "line-unusable"


def test_secrets_are_kept_as_hashes() -> None:
    assert len(hash_secret(b"s" * 32)) == 32
    assert hash_secret(b"a") != hash_secret(b"b")
