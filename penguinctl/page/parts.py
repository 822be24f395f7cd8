"""The page's sections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinctl import moments
from penguinctl.page import plots
from penguinctl.page.text import count, named, percent, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from penguindome.v1 import server_pb2 as pb

SEVERITIES = ("critical", "high", "medium", "low")
_KINDS_LISTED = 8


def numbers(seen: pb.GetOverviewResponse) -> str:
    """Return the headline numbers."""
    rows = (
        ("Devices", count(seen.devices), "active"),
        ("Connected", count(seen.connected_devices), percent(seen.connected_devices, seen.devices)),
        (
            "Without issues",
            count(seen.devices_without_issues),
            percent(seen.devices_without_issues, seen.devices),
        ),
        ("Silent", count(seen.silent_devices), "for more than a day"),
    )
    shown = "".join(
        f"<div><dt>{name}</dt><dd>{number}<small>{beside}</small></dd></div>"
        for name, number, beside in rows
    )
    return f'<section aria-label="In numbers"><dl class="numbers">{shown}</dl></section>'


def posture(seen: pb.GetOverviewResponse) -> str:
    """Return how the checks judge devices, the worst first."""
    rows = "".join(map(_check, seen.checks))
    if not rows:
        rows = '<tr><td colspan="4">No check is in force.</td></tr>'
    key = _legend((("bad", "fails"), ("good", "passes"), ("unsure", "not known")))
    return (
        '<section class="posture"><h2>Posture by check</h2><table><thead><tr><th scope="col">Check'
        '</th><th scope="col">Devices</th><th scope="col" class="n">Fail</th>'
        f'<th scope="col" class="n wide">Severity</th></tr></thead><tbody>{rows}</tbody></table>'
        f"{key}</section>"
    )


def _check(one: pb.CheckPosture) -> str:
    said = f"{one.failing} fail, {one.passing} pass, of {one.unknown} it is not known"
    parts = (("bad", one.failing), ("good", one.passing), ("unsure", one.unknown))
    bar = plots.stacked_bar(parts, f"{one.name}: {said}")
    return (
        f'<tr><td class="check">{named(one.name)}<span>{named(one.summary)}</span></td>'
        f'<td class="middle">{bar}</td><td class="n">{count(one.failing)}</td>'
        f'<td class="n wide">{text(one.severity)}</td></tr>'
    )


def trends(samples: Sequence[pb.HistorySample], now: datetime) -> str:
    """Return what changed over time."""
    if len(samples) < 2:
        return (
            "<section><h2>Trend</h2><p>There is no history yet: the server takes a sample each "
            "quarter of an hour.</p></section>"
        )
    return f'<div class="pair">{_issues(samples, now)}{_presence(samples, now)}</div>'


def _issues(samples: Sequence[pb.HistorySample], now: datetime) -> str:
    layers = [(name, [one.open_issues.get(name, 0) for one in samples]) for name in SEVERITIES]
    most = _round_up(max(sum(one.open_issues.values()) for one in samples))
    last = sum(samples[-1].open_issues.values())
    title = f"Open issues by severity; {last} at the end, at most {most} shown"
    plot = plots.areas([one.time_unix_ms for one in samples], layers, most, title)
    key = _legend([(name, name) for name in SEVERITIES])
    return _over_time("Open issues", plot, most, samples, now, key)


def _presence(samples: Sequence[pb.HistorySample], now: datetime) -> str:
    reporting = [one.reporting_devices for one in samples]
    connected = [one.connected_devices for one in samples]
    most = _round_up(max(*reporting, *connected))
    title = f"{reporting[-1]} devices reported within a day, {connected[-1]} were connected"
    series = (("one", reporting), ("two", connected))
    plot = plots.lines([one.time_unix_ms for one in samples], series, most, title)
    key = _legend((("one", "reported within a day"), ("two", "connected")))
    return _over_time("Devices", plot, most, samples, now, key)


def _over_time(  # noqa: PLR0917 -- the parts of one picture
    name: str,
    plot: str,
    most: int,
    samples: Sequence[pb.HistorySample],
    now: datetime,
    key: str,
) -> str:
    ends = [moments.short(one.time_unix_ms, now)[:10] for one in (samples[0], samples[-1])]
    return (
        f'<section><h2>{name}</h2><div class="most">{count(most)}</div>{plot}'
        f'<div class="ends"><span>{text(ends[0])}</span><span>{text(ends[1])}</span></div>{key}'
        "</section>"
    )


def _round_up(number: int) -> int:
    """Return the next number that reads well on an axis."""
    if number <= 5:
        return max(number, 1)
    size = int(10 ** (len(str(number)) - 1))
    return next(
        step
        for step in (size, 2 * size, 3 * size, 4 * size, 6 * size, 8 * size, 10 * size)
        if step >= number
    )


def kinds(name: str, counts: Mapping[str, int], whole: int) -> str:
    """Return how many devices are of which kind, the most frequent first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown, rest = ranked[:_KINDS_LISTED], ranked[_KINDS_LISTED:]
    if rest:
        shown = [*shown, (f"{len(rest)} others", sum(number for _, number in rest))]
    most = max((number for _, number in shown), default=0)
    rows = "".join(
        f'<tr><td>{named(kind)}</td><td class="middle">'
        f"{plots.single_bar(number, most, f'{kind}: {number} of {whole} devices')}</td>"
        f'<td class="n">{count(number)}</td></tr>'
        for kind, number in shown
    )
    body = rows or '<tr><td colspan="3">No devices.</td></tr>'
    return (
        f'<section><h2>{name}</h2><table><thead><tr><th scope="col">Kind</th>'
        f'<th scope="col">Share</th><th scope="col" class="n">Devices</th></tr></thead>'
        f"<tbody>{body}</tbody></table></section>"
    )


def silent(seen: pb.GetOverviewResponse, now: datetime) -> str:
    """Return who was not heard of for a day, the longest silent first."""
    found, left = seen.silent, seen.silent_devices - len(seen.silent)
    rows = "".join(
        f'<tr><td>{named(one.hostname)}</td><td class="wide">{text(one.device_id)}</td>'
        f"<td>{text(moments.ago(one.last_report_unix_ms, now))}</td>"
        f"<td>{'suspended' if one.suspended else ''}</td></tr>"
        for one in found
    )
    more = f'<p class="soft">And {count(left)} more.</p>' if left > 0 else ""
    if not rows:
        return "<section><h2>Silent devices</h2><p>All devices reported within a day.</p></section>"
    return (
        '<section><h2>Silent devices</h2><table><thead><tr><th scope="col">Hostname</th>'
        '<th scope="col" class="wide">Device</th><th scope="col">Last report</th>'
        f'<th scope="col">Alerts</th></tr></thead><tbody>{rows}</tbody></table>{more}</section>'
    )


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f'<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="{kind}" width="10" '
        f'height="10"/></svg>{word}</li>'
        for kind, word in entries
    )
    return f'<ul class="legend">{items}</ul>'
