"""`penguin-agent status` and `issues`: honest words, also when the daemon does not run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguin_agent import cli_print
from penguin_agent.control import ask
from penguindome.errors import Unavailable

if TYPE_CHECKING:
    import argparse

    from penguin_agent.config import Settings


def status(options: argparse.Namespace, settings: Settings) -> int:
    """Tell how the agent is doing; exit code 5 if the daemon does not run."""
    try:
        words = ask(settings.paths.socket, "status")
    except Unavailable:
        words = _without_daemon(settings)
    if options.output == "json":
        cli_print.as_json(words)
    else:
        _show(words)
    return 0 if words["running"] else 5


def issues(options: argparse.Namespace, settings: Settings) -> int:
    """Show the server's verdicts with their remedies, the last known ones when offline."""
    try:
        words = ask(settings.paths.socket, "issues")
    except Unavailable:
        from penguin_agent.verdicts import VerdictFile  # noqa: PLC0415 -- rarely needed

        words = VerdictFile(settings.paths.state_dir / "verdicts.json").read()
    if options.output == "json":
        cli_print.as_json(words)
        return 0
    if not words["audited_time"]:
        cli_print.line("The server has not told any verdict on this device yet.")
        return 0
    for verdict in words["verdicts"]:
        _show_verdict(verdict)
    count = len(words["verdicts"])
    head = "No open issues" if not count else f"{count} open issue{'s' if count > 1 else ''}"
    cli_print.line(f"{head}, as the server saw it at {words['audited_time']}.")
    return 0


def _without_daemon(settings: Settings) -> dict[str, Any]:
    """Return what the files say; needs the right to read them."""
    from penguin_agent.agent import Base  # noqa: PLC0415 -- heavy, and rarely needed
    from penguin_agent.failpoints import no_failpoint  # noqa: PLC0415 -- the same
    from penguindome.times import utc_now  # noqa: PLC0415 -- the same

    state_dir = settings.paths.state_dir
    if not state_dir.exists():
        return {"running": False, "enrolled": False, "pending": False, "connected": False}
    base = Base(settings, wall=utc_now, failpoint=no_failpoint)
    return {
        "version": base.version,
        "running": False,
        "connected": False,
        **base.enrollment_words(),
        "spool_depth": len(list((state_dir / "spool").glob("*.report"))),
        "dead_letters": base.dead_letters.count(),
    }


def _show(words: dict[str, Any]) -> None:
    rows: list[tuple[str, Any]] = [("agent", _agent_words(words)), ("device", _device_words(words))]
    if words.get("fingerprint"):
        from penguin_agent.cli_enroll import spaced  # noqa: PLC0415 -- only here

        rows.append(("key fingerprint", spaced(words["fingerprint"])))
    if words.get("enrolled"):
        rows += _fleet_rows(words)
    cli_print.pairs(rows)
    for output in words.get("outputs", ()):
        reason = f": {output['reason']}" if output["reason"] else ""
        local = ", local" if output["local"] else ""
        cli_print.line(
            f"  {output['name']:24} {output['status']}, {output['bytes']} bytes{local}{reason}"
        )


def _fleet_rows(words: dict[str, Any]) -> list[tuple[str, Any]]:
    link = "connected" if words["connected"] else "not connected"
    trouble = words.get("trouble")
    rows = [
        ("server", f"{words['server']}, {link}" + (f" ({trouble})" if trouble else "")),
        ("certificate", f"until {words['certificate_until']}, renewed by itself"),
        ("last accepted report", words.get("last_accepted_time") or "none since the start"),
        ("waiting reports", words.get("spool_depth", 0)),
        ("refused reports", words.get("dead_letters", 0)),
    ]
    if "clock" in words:
        rows.append(("clock", _clock_words(words["clock"])))
    for name in ("benched", "failing"):
        rows += [(f"{name} plugins", ", ".join(words[name]))] if words.get(name) else []
    rows += [(f"not run: {name}", reason) for name, reason in words.get("problems", ())]
    forbidden = [name for name, allowed in words.get("allow", {}).items() if not allowed]
    rows += [("forbidden here", ", ".join(forbidden))] if forbidden else []
    for letter in words.get("refused", ()):
        rows.append((f"refused {letter['time']}", letter["reason"]))
    if "outputs" in words:
        rows.append(("collected and sent", f"{len(words['outputs'])} outputs"))
    return rows


def _agent_words(words: dict[str, Any]) -> str:
    running = "running" if words["running"] else "not running (systemctl start penguin-agent)"
    return f"{words.get('version', '')} {running}".strip()


def _device_words(words: dict[str, Any]) -> str:
    if words.get("enrolled"):
        how = "approved by an operator" if words["approval"] == "operator" else "let in by a token"
        return f"{words['device_id']} of fleet {words['fleet']}, {how}"
    if words.get("pending"):
        return f"{words['device_id']} waits for an operator's approval"
    return "not enrolled (penguin-agent enroll)"


def _clock_words(clock: dict[str, Any]) -> str:
    if clock["state"] == "ok":
        return "right"
    if clock["state"] == "doubtful":
        return "perhaps wrong: the server's certificate is not valid at this time (timedatectl)"
    skew = clock["skew_seconds"]
    detail = f", {skew} s ahead of the server's" if skew is not None else ""
    return f"wrong{detail}; turn on time synchronisation (timedatectl set-ntp true)"


def _show_verdict(verdict: dict[str, str]) -> None:
    cli_print.line(f"{verdict['severity']:8} {verdict['check']}: {verdict['summary']}")
    if verdict["remedy"]:
        cli_print.block("         " + verdict["remedy"].replace("\n", "\n         "))
    if verdict["grace_until_time"]:
        cli_print.line(f"         nobody is told before {verdict['grace_until_time']}")
