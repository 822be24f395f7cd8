"""What is wrong with devices that no report tells: clocks, names, versions, certificates."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.domain.version import far_behind, parse_version
from penguind.own_issues import Finding
from penguind.watch.expiry import Expiring, expiry_finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from penguind.domain.facts import DeviceFacts

_LISTED = 20


def wrong_clocks(devices: Iterable[DeviceFacts], tolerance: timedelta) -> Iterator[Finding]:
    """Find clocks that were off by more than the tolerance at the last check-in.

    What an agent says itself counts as well: it notices while its stream stays open.
    """
    for one in devices:
        skew = timedelta(milliseconds=one.clock_skew_ms)
        if abs(skew) > tolerance:
            yield Finding(
                one.device_id,
                one.hostname,
                f"its clock was {_span(abs(skew))} {'ahead' if skew > timedelta() else 'behind'}",
                {"device.clock_skew_ms": one.clock_skew_ms},
            )
        elif one.says_clock_wrong:
            yield Finding(
                one.device_id,
                one.hostname,
                "its agent finds the clock wrong",
                {"plugins.agent.clock": "wrong"},
            )


def same_names(devices: Iterable[DeviceFacts]) -> Iterator[Finding]:
    """Find hostnames that several active devices have; each is told of the others."""
    by_name: defaultdict[str, list[DeviceFacts]] = defaultdict(list)
    for one in devices:
        if one.state == "active" and one.hostname:
            by_name[one.hostname.lower()].append(one)
    for alike in by_name.values():
        if len(alike) < 2:
            continue
        ids = sorted(one.device_id for one in alike)
        for one in alike:
            others = [other for other in ids if other != one.device_id]
            yield Finding(
                one.device_id,
                one.hostname,
                f"{len(others)} more with this hostname",
                {"device.hostname": one.hostname, "others": others[:_LISTED]},
            )


def outdated_agents(
    devices: Iterable[DeviceFacts], *, server_version: str, minimum_version: str
) -> Iterator[Finding]:
    """Find agents that are older than the site allows, or far behind the server.

    A version that cannot be read is older than any minimum.
    """
    server, minimum = parse_version(server_version), parse_version(minimum_version)
    for one in devices:
        if not one.agent_version:
            continue
        agent = parse_version(one.agent_version)
        reason = ""
        if minimum is not None and (agent is None or agent < minimum):
            reason = f"older than {minimum_version}, the oldest that the settings allow"
        elif agent is not None and server is not None and far_behind(agent, server):
            reason = f"far behind the server, which is {server_version}"
        if reason:
            evidence = {"device.agent_version": one.agent_version, "because": reason}
            yield Finding(one.device_id, one.hostname, reason, evidence)


def unrenewed_certificates(
    devices: Iterable[DeviceFacts], lifetime: timedelta, now: datetime
) -> Iterator[Finding]:
    """Find devices that were there when they should have renewed, and did not.

    An agent renews long before a third of the certificate's life is left. One that sleeps cannot.
    """
    window = lifetime / 3
    for one in devices:
        end, seen = one.certificate_expires_time, one.last_seen_time
        if end is None or seen is None or end - now >= window or seen <= end - window:
            continue
        what = Expiring(one.device_id, one.hostname, "The device's own certificate", end, window)
        finding = expiry_finding(what, now, worst="high")
        if finding is not None:
            yield finding


def _span(span: timedelta) -> str:
    """Return a span in its largest unit."""
    for unit, name in ((timedelta(days=1), "days"), (timedelta(hours=1), "hours")):
        if span >= 2 * unit:
            return f"{span // unit} {name}"
    if span >= timedelta(minutes=2):
        return f"{span // timedelta(minutes=1)} minutes"
    return f"{span // timedelta(seconds=1)} seconds"
