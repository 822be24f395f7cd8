"""Enrollment tokens in the wrong hands: used too often, too late, from elsewhere, guessed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from penguindome.error_wire import from_rpc_error
from penguindome.errors import Forbidden, PenguinDomeError
from penguindome.tokens import decode_token
from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.wire import refusal

pytestmark = pytest.mark.timeout(120)
APPLICANTS = 20


@pytest.fixture
def make(fleet):
    """Return what makes a token that is known to nobody else."""
    return lambda *words: decode_token(fleet.alice.token(*words))


def devices_of(database, token):
    return database.records["devices"].count_documents({"token_id": token.token_id.hex()})


def test_token_used_more_often_than_allowed(wire, database, make):
    token = make("--uses", "2")
    for _ in range(2):
        EvilAgent(wire).enroll(token)
    for _ in range(3):
        error = refusal(EvilAgent(wire).enroll, token)
        assert (type(error), error.code) == (Forbidden, "token-used-up")
    assert devices_of(database, token) == 2


def test_twenty_at_once_with_a_token_of_one_use(wire, database, make):
    token = make()
    applicants = [EvilAgent(wire) for _ in range(APPLICANTS)]
    requests = [applicant.application(token) for applicant in applicants]

    def enroll(applicant, request):
        try:
            return applicant.bootstrap.Enroll(request, timeout=30)
        except grpc.RpcError as error:
            return from_rpc_error(error)

    with ThreadPoolExecutor(APPLICANTS) as pool:
        answers = list(pool.map(enroll, applicants, requests))
    refused = [answer for answer in answers if isinstance(answer, PenguinDomeError)]
    assert {error.code for error in refused} == {"token-used-up"}
    assert len(refused) == APPLICANTS - 1
    assert devices_of(database, token) == 1


def test_same_applicant_at_once_takes_one_use(wire, database, make):
    """A device that repeats itself after a lost answer is one device and one use."""
    token = make("--uses", "2")
    applicant = EvilAgent(wire)
    csr = applicant.application(token).csr
    requests = [applicant.application(token, csr=csr) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda r: applicant.bootstrap.Enroll(r, timeout=30), requests))
    assert len({answer.device_id for answer in answers}) == 1
    assert devices_of(database, token) == 1
    EvilAgent(wire).enroll(token)
    assert refusal(EvilAgent(wire).enroll, token).code == "token-used-up"


def spoiled(fleet, database, make, how):
    """Return a token that would be good but for one thing."""
    if how == "network":
        return make("--cidr", "192.0.2.0/24", "--cidr", "2001:db8::/32")
    token = make()
    if how == "expired":
        database.records["tokens"].update_one(
            {"_id": token.token_id.hex()},
            {"$set": {"expires_time": datetime.now(UTC) - timedelta(seconds=1)}},
        )
    if how == "revoked":
        fleet.alice.run("token", "revoke", token.token_id.hex())
    return token


@pytest.mark.parametrize("how", ["expired", "revoked", "network"])
def test_token_that_is_not_good_here_and_now(fleet, wire, database, make, how):
    token = spoiled(fleet, database, make, how)
    error = refusal(EvilAgent(wire).enroll, token)
    assert (type(error), error.code) == (Forbidden, f"token-{how}")
    assert devices_of(database, token) == 0
    EvilAgent(wire).enroll(make("--cidr", "127.0.0.0/8"))


def shape(error):
    """Return everything that a caller sees of an error."""
    return (type(error), error.code, error.reason, error.subject, error.remedy)


def test_guesser_learns_nothing(fleet, wire, database, make):
    """Unknown, expired, revoked, used up, good or frozen: without the secret all look the same."""
    guess = b"x" * 32
    used = make()
    EvilAgent(wire).enroll(used)
    tokens = [
        make(),
        used,
        replace(make(), token_id=b"unknown!"),
        *(spoiled(fleet, database, make, how) for how in ("expired", "revoked", "network")),
    ]
    seen = {shape(refusal(EvilAgent(wire).enroll, token, secret=guess)) for token in tokens}
    seen |= {shape(refusal(EvilAgent(wire).enroll, tokens[0], secret=b""))}
    assert {(kind, code) for kind, code, *_ in seen} == {(Forbidden, "token-refused")}
    assert len(seen) == 1


def test_six_wrong_secrets_freeze_a_token(fleet, wire, database, make):
    token, other = make("--uses", "9"), make("--uses", "9")
    EvilAgent(wire).enroll(token)
    seen = {shape(refusal(EvilAgent(wire).enroll, token, secret=bytes([n]) * 32)) for n in range(6)}
    assert len(seen) == 1
    error = refusal(EvilAgent(wire).enroll, token)
    assert (type(error), error.code) == (Forbidden, "token-frozen")
    assert devices_of(database, token) == 1
    shown = fleet.alice.json("token", "list")["tokens"]
    states = {one["token_id"]: one["state"] for one in shown}
    assert states[token.token_id.hex()] == "frozen"
    EvilAgent(wire).enroll(other)


def test_four_wrong_secrets_do_not(wire, make):
    token = make()
    for n in range(4):
        refusal(EvilAgent(wire).enroll, token, secret=bytes([n]) * 32)
    EvilAgent(wire).enroll(token)


@pytest.mark.parametrize(
    "words",
    [
        ["{}"],
        ["--token", "{}"],
        ["--token={}"],
        ["--token-file", "{}"],
        ["--token-file={}"],
        ["-t", "{}"],
        ["--wait", "{}"],
    ],
    ids=" ".join,
)
def test_token_among_the_words_of_a_command(fleet, database, words):
    """Every user of the machine can read command lines, and whatever an error repeats of them."""
    line = fleet.alice.token()
    token = decode_token(line)
    agent = fleet.device(plugins=fleet.plugins())
    said = agent.try_run("enroll", *(word.format(line) for word in words), standard_input="\n")
    assert said.returncode not in {0, -6, -11}
    assert "Traceback" not in said.stderr
    assert line not in said.stdout + said.stderr
    assert devices_of(database, token) == 0
    agent.enroll(line)
    assert devices_of(database, token) == 1


@pytest.mark.parametrize(
    "words", [["{}"], ["--invitation", "{}"], ["--invitation-file", "{}"]], ids=" ".join
)
def test_invitation_among_the_words_of_a_command(fleet, words):
    line = fleet.invite("victim").read_text().strip()
    words = [word.format(line) for word in words]
    said = fleet.alice.try_run("--config-dir", fleet.folder / "none", "init", *words)
    assert said.returncode not in {0, -6, -11}
    assert "Traceback" not in said.stderr
    assert line not in said.stdout + said.stderr
    assert not (fleet.folder / "none/profile.toml").exists()
