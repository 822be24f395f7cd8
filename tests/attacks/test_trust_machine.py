"""Anybody proposes, signs, publishes and replays trust documents, in any order, with real keys.

The model is the rule in a few words: the next version, signed by enough keys of the present root
role and by enough of its own, each counted once.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from penguindome.errors import Forbidden, NotFound, PenguinDomeError, PreconditionFailed
from penguindome.trust import document_hash, from_payload, replay
from tests.attacks.kit.trust_world import TrustWorld
from tests.penguindome.signing import Fleet, gpg_home

pytestmark = pytest.mark.timeout(300)
NAMES = ("alice", "bob", "carol", "mallory")
names = st.sampled_from(NAMES)
groups = st.lists(names, min_size=1, max_size=3, unique=True)


@dataclass
class Roots:
    names: frozenset
    threshold: int

    def content(self, signed):
        return len(self.names & signed) >= self.threshold


@dataclass
class Proposal:
    envelope: object
    roots: Roots
    signed: set = field(default_factory=set)


class TrustMachine(RuleBasedStateMachine):
    world: TrustWorld

    @initialize(roots=groups, data=st.data())
    def begin(self, roots, data):
        self.world = self.make_world()
        threshold = data.draw(st.integers(1, len(roots)))
        first = self.world.signing.document(*roots, threshold=threshold)
        first = replace(first, roles={"root": first.roles["root"]})
        envelope = self.world.envelope(first, roots)
        self.world.do(self.world.trust.publish(1, envelope))
        self.current, self.roots = first, Roots(frozenset(roots), threshold)
        self.proposal, self.gone = None, []
        self.published = [envelope]
        self.asleep_since = 0

    def attempt(self, step, *, expected, errors=(Forbidden,)):
        """Do something, which has to work or not, as the model says."""
        try:
            self.world.do(step)
        except errors:
            assert not expected
        else:
            assert expected

    @rule(roots=groups, data=st.data())
    def propose(self, roots, data):
        """Somebody who has the root role, or shall have it, proposes the next version."""
        able = sorted(self.roots.names | set(roots))
        by = data.draw(st.lists(st.sampled_from(able), min_size=1, max_size=3))
        threshold = data.draw(st.integers(1, len(roots)))
        self.hand_in(roots, threshold, by, step=1)

    @rule(roots=groups, by=st.lists(names, max_size=3), step=st.sampled_from([1, 0, 2, -1]))
    def propose_anything(self, roots, by, step):
        if self.current.version + step >= 1:
            self.hand_in(roots, 1, by, step)

    def hand_in(self, roots, threshold, by, step):
        document = self.world.document(self.current, roots, threshold, step)
        envelope = self.world.envelope(document, by)
        wanted = Roots(frozenset(roots), threshold)
        counted = all(name in self.roots.names | wanted.names for name in by)
        expected = step == 1 and bool(by) and counted
        base = document_hash(self.published[-1].payload)
        self.attempt(
            self.world.proposals.propose(document.version, base, envelope, "x"), expected=expected
        )
        if expected:
            self.forget()
            self.proposal = Proposal(envelope, wanted, set(by))

    def forget(self):
        if self.proposal:
            self.gone.append(self.proposal)
        self.proposal = None

    @precondition(lambda self: self.proposal)
    @rule(who=st.lists(names, min_size=1, max_size=4))
    def sign(self, who):
        for name in who:
            self.sign_as(name)

    def sign_as(self, who):
        payload = self.proposal.envelope.payload
        expected = who in self.roots.names | self.proposal.roots.names
        step = self.world.proposals.sign(
            self.current.version + 1, document_hash(payload), self.world.sign(payload, who)
        )
        self.attempt(step, expected=expected)
        if expected:
            self.proposal.signed.add(who)

    @precondition(lambda self: self.proposal and self.gone)
    @rule(who=names, data=st.data())
    def sign_what_is_no_more(self, who, data):
        """A signature on former bytes is worth nothing, under either hash."""
        former = data.draw(st.sampled_from(self.gone)).envelope.payload
        signature = self.world.sign(former, who)
        version = self.current.version + 1
        for payload in (former, self.proposal.envelope.payload):
            step = self.world.proposals.sign(version, document_hash(payload), signature)
            self.attempt(step, expected=False, errors=(Forbidden, PreconditionFailed))

    @precondition(lambda self: self.proposal)
    @rule(another=st.booleans())
    def publish(self, another):
        """Publish what the store holds, by this process or another one."""
        trust, proposals = self.world.process() if another else self.processes()
        held = self.world.do(proposals.get())
        signed = self.proposal.signed
        expected = self.roots.content(signed) and self.proposal.roots.content(signed)
        self.attempt(trust.publish(held.version, held.envelope), expected=expected)
        if expected:
            self.world.do(proposals.settle(held.version))
            self.advance(held.envelope, self.proposal.roots)
            self.gone.append(self.proposal)
            self.proposal = None

    def processes(self):
        return self.world.trust, self.world.proposals

    def advance(self, envelope, roots):
        self.published.append(envelope)
        self.current, self.roots = from_payload(envelope.payload), roots

    @rule(roots=groups, by=st.lists(names, max_size=4), step=st.sampled_from([1, 1, 0, 2]))
    def publish_at_once(self, roots, by, step):
        document = self.world.document(self.current, roots, 1, step)
        envelope = self.world.envelope(document, by)
        wanted = Roots(frozenset(roots), 1)
        signed = set(by)
        expected = step == 1 and self.roots.content(signed) and wanted.content(signed)
        self.attempt(self.world.trust.publish(document.version, envelope), expected=expected)
        if expected:
            self.forget()
            self.advance(envelope, wanted)

    @precondition(lambda self: len(self.published) > 1)
    @rule(data=st.data())
    def publish_again(self, data):
        """Whatever was published once is never the next version."""
        old = data.draw(st.sampled_from(self.published))
        version = from_payload(old.payload).version
        errors = (PenguinDomeError,)
        self.attempt(self.world.trust.publish(version, old), expected=False, errors=errors)

    @rule(right=st.booleans())
    def withdraw(self, right):
        """Only who names the bytes that are proposed withdraws them."""
        there = right and self.proposal is not None
        payload = self.proposal.envelope.payload if there else b"something else"
        step = self.world.proposals.withdraw(
            self.current.version + 1, document_hash(payload), "a reason"
        )
        self.attempt(step, expected=there, errors=(NotFound, PreconditionFailed))
        if there:
            self.forget()

    @rule()
    def device_wakes(self):
        """However many versions it slept through, it follows all of them."""
        rest = self.published[self.asleep_since :]
        if rest:
            assert self.world.offer(rest) == self.current.version
        self.asleep_since = len(self.published)

    @precondition(lambda self: self.asleep_since)
    @rule(data=st.data())
    def device_is_lied_to(self, data):
        """It is offered a version again, one too far, a proposal, or a chain with a gap."""
        held = self.world.device.newest()
        later = self.published[self.asleep_since :]
        lies = [self.published[: self.asleep_since], later[1:], [*later, self.published[0]]]
        if self.proposal and not self.proposal.roots.content(self.proposal.signed):
            lies.append([*later, self.world.do(self.world.proposals.get()).envelope])
        lie = data.draw(st.sampled_from([one for one in lies if one]))
        with pytest.raises(Forbidden):
            self.world.offer(lie)
        assert self.world.device.newest() == held

    @invariant()
    def the_chain_is_the_models(self):
        if not hasattr(self, "published"):
            return
        chain = self.world.chain()
        assert chain == self.published
        pinned = document_hash(chain[0].payload)
        now = self.world.signing.now
        assert replay(chain, current=None, pinned_hash=pinned, now=now) == self.current

    @invariant()
    def the_proposal_is_the_models(self):
        if not hasattr(self, "published"):
            return
        held = self.world.do(self.world.proposals.get())
        assert (held is None) == (self.proposal is None)
        if held is not None:
            keys = self.world.signing.keys
            assert set(held.signers) == {keys[name] for name in self.proposal.signed}
            assert len(held.signers) == len(held.envelope.signatures)
            assert held.envelope.payload == self.proposal.envelope.payload

    def teardown(self):
        if hasattr(self, "world"):
            self.world.close()


def test_trust_moves_only_as_the_model_says(mongo_uri):
    numbers = itertools.count()
    with gpg_home() as home:
        signing = Fleet(home)

        class Machine(TrustMachine):
            def make_world(self):
                return TrustWorld(signing, mongo_uri, f"trust_machine_{next(numbers)}")

        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=20,
                stateful_step_count=30,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
