"""Whatever a tool prints, a parser answers or raises one of our errors."""

from __future__ import annotations

import contextlib
import string
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penguin_agent.collect.limits import RunLimits
from penguin_agent.collect.process_group import parse_stat
from penguin_agent.collect.result import Cause, Ended, judge, last_line, one_line
from penguin_agent.parsers import (
    addresses,
    block,
    dmi,
    guest_session,
    iptables,
    mounts,
    nft,
    os_release,
    os_updates,
    reach,
    sshd,
    sshd_match,
)
from penguin_agent.parsers.netfilter import Chains, Condition, Outcome, Packet, Rule

anything = st.text() | st.binary().map(lambda data: data.decode(errors="replace"))
# Health checks watch the clock of a machine that may be busy with other things.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)


def nearly(words):
    """Return texts made of the format's own words, which reach deeper than noise does."""
    piece = st.sampled_from([*words, " ", "\n", "\t", "=", ":", '"', "'", "\\", "-"]) | st.text()
    return st.lists(piece, max_size=30).map("".join) | anything


@calm
@given(nearly(["NAME", "VERSION_ID", "#", "$", "`"]))
def test_os_release(text):
    info = os_release.os_info(text)
    assert set(info) == {"distname", "version"}
    assert all(isinstance(value, str) for value in info.values())


@calm
@given(nearly(["System Information", "Handle 0x0001", "\n\t", "\n\t\t", "Not Applicable"]))
def test_dmidecode(text):
    assert all(isinstance(value, str) for value in dmi.section(text).values())


@calm
@given(nearly(["port", "22", "yes", "sshd: ", " [listener]", "-f", "-D", "\0"]))
def test_sshd(text):
    config = sshd.parse_config(text)
    assert sshd.allows_passwords(config) in (True, False)
    words = sshd.listener_words(text)
    assert sshd.configuration_file(words or ()) is None or words


@calm
@given(json_values)
def test_addresses_of_any_document(document):
    addresses.by_device(document)
    addresses.global_addresses(document)


_entry = st.fixed_dictionaries(
    {},
    optional={
        "family": st.sampled_from(["inet", "inet6", "mpls", None]) | json_values,
        "local": st.sampled_from(["10.0.0.1", "fe80::1", "::ffff:1.2.3.4", "x"]) | json_values,
        "prefixlen": st.integers() | json_values,
        "broadcast": json_values,
        "temporary": st.booleans(),
    },
)


@calm
@given(
    st.lists(
        st.fixed_dictionaries({"ifname": st.text(), "addr_info": st.lists(_entry, max_size=3)})
    )
)
def test_addresses_of_nearly_right_documents(document):
    addresses.by_device(document)
    addresses.global_addresses(document)


@calm
@given(nearly(["*filter", ":INPUT DROP [0:0]", "-A INPUT", "-j", "ACCEPT", "-p tcp", "!", "-i"]))
def test_iptables(text):
    for version in (4, 6):
        assert iptables.evaluate(text, version) in (None, *Outcome)
    iptables.policies(text)
    iptables.forwarded_ports(text)


@calm
@given(json_values)
def test_nft_of_any_document(document):
    nft.evaluate(document, 4)
    nft.evaluate({"nftables": document}, 6)
    for name in nft.sets_of_ports({"nftables": document}):
        nft.fill({"nftables": document}, name, {"nftables": document})


_BASE = {"family": "inet", "table": "t", "name": "c", "hook": "input", "type": "filter"}
_expression = st.dictionaries(
    st.sampled_from(["match", "accept", "drop", "jump", "vmap", "xt", "limit", "counter", "goto"]),
    json_values
    | st.fixed_dictionaries(
        {
            "op": st.sampled_from(["==", "!=", "in", "<", ">="]),
            "left": st.dictionaries(
                st.sampled_from(["payload", "meta", "ct", "fib"]),
                st.dictionaries(
                    st.sampled_from(["key", "protocol", "field", "result", "flags"]), json_values
                ),
                max_size=1,
            ),
            "right": json_values,
            "target": st.sampled_from(["c", "d"]),
        }
    ),
    max_size=2,
)


@calm
@given(st.lists(st.lists(_expression, max_size=4), max_size=5), st.sampled_from(["accept", "drop"]))
def test_nft_of_nearly_right_documents(rules, policy):
    items = [{"chain": {**_BASE, "policy": policy}}, {"chain": {**_BASE, "name": "d", "hook": ""}}]
    place = {"family": "inet", "table": "t", "chain": "c"}
    items += [{"rule": {**place, "expr": expressions}} for expressions in rules]
    assert nft.evaluate({"nftables": items}, 4) in Outcome


_rule = st.builds(
    Rule,
    st.lists(st.builds(Condition, st.sampled_from(["always", "maybe", "opaque", "never"]))).map(
        tuple
    ),
    st.sampled_from(["accept", "drop", "return", "jump", "goto", "queue", ""]),
    st.sampled_from("abcd"),
)


@calm
@given(st.dictionaries(st.sampled_from("abcd"), st.lists(_rule, max_size=5).map(tuple)))
def test_a_walk_through_any_chains_ends(rules):
    chains = Chains(rules)
    for name in "abcd":
        assert chains.base(name, "drop", Packet(4, "tcp")) in Outcome


@calm
@given(nearly(["1 2 0:3 / /x rw", " - ", "ext4", "/dev/sda1", "\\040", "Filename Type\n"]))
def test_mounts(text):
    found = mounts.parse_mountinfo(text)
    for mount in found:
        mounts.is_local_store(mount)
    mounts.holding(found, text)
    mounts.parse_swaps(text)


@calm
@given(anything)
def test_device_names(text):
    block.unmangled(text)


@calm
@given(st.text(alphabet=string.printable), st.integers(min_value=0, max_value=255))
def test_device_mapper_names_are_unescaped(text, number):
    assert block.unmangled(f"a\\x{number:02x}b") == f"a{chr(number)}b"
    if "\\x" not in text:
        assert block.unmangled(text) == text


@calm
@given(nearly(["1 (", ") S ", "0 0 0"]))
def test_process_lines(text):
    parse_stat(text)


@calm
@given(st.text())
def test_a_process_cannot_lie_by_its_name(name):
    tail = "S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0"
    process = parse_stat(f"7 ({name}) {tail}")
    assert process is not None
    assert (process.pid, process.parent, process.started) == (7, 1, 4242)


@calm
@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(min_value=-64, max_value=255))
def test_any_end_of_a_run_is_judged(stdout, stderr, code):
    ended = Ended(Cause.EXIT, code, stdout, stderr)
    verdict = judge(ended, limits=RunLimits(), deadline=timedelta(seconds=1))
    assert len(verdict.reason) <= 200
    assert verdict.reason.isprintable()


@calm
@given(st.binary())
def test_last_line_is_one_line(stderr):
    assert len(one_line(last_line(stderr)).splitlines()) <= 1


@calm
@given(anything)
def test_the_gate_never_lets_a_bug_out(text):
    ended = Ended(Cause.EXIT, 0, text.encode(errors="surrogatepass"))
    with contextlib.suppress(UnicodeError):
        judge(ended, limits=RunLimits(), deadline=timedelta(seconds=1))


@calm
@given(nearly(["[Seat:*]", "[SeatDefaults]", "allow-guest", "false", "true", "#"]))
def test_lightdm(text):
    assert guest_session.allows_guest([text, text]) == guest_session.allows_guest([text])
    guest_session.has_user(text, "xguest")


@calm
@given(st.lists(nearly(["10.0.0.0", "/8", "::", "@set", "ff00::", "255"]), max_size=4))
def test_addresses_of_rules(values):
    for negated in (False, True):
        kinds = {reach.sender(values, negated=negated).kind, "never", "always", "specific"}
        assert kinds <= {"never", "always", "specific"}
        assert reach.receiver(values, negated=negated).kind in {*kinds, "maybe"}


@calm
@given(text=nearly(["Match", "all", "Include", "*", "User", "PermitRootLogin", "yes", "/etc"]))
def test_match_blocks(tmp_path_factory, text):
    root = tmp_path_factory.mktemp("root")
    (root / "sshd_config").write_text(text, encoding="utf-8", errors="replace")
    found = sshd_match.conditional(root, "/sshd_config")
    assert all(isinstance(word, str) for pair in found for word in pair)


@calm
@given(nearly(["a:", " *** ", "        500 ", "bookworm-security"]))
def test_apts_policy(text):
    assert os_updates.skips_security(text) in {True, False}
