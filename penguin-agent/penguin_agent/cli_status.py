"""`penguin-agent status` and `issues`: honest words, also when the daemon does not run."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penguin_agent import cli_print
from penguin_agent.control import HUNG, ask
from penguindome.errors import Unavailable
from penguindome.times import format_duration, utc_now

if TYPE_CHECKING:
    import argparse

    from penguin_agent.config import Settings


def status(options: argparse.Namespace, settings: Settings) -> int:
    """Tell how the agent is doing; exit code 5 if the daemon does not run."""
    try:
        words = ask(settings.paths.socket, "status")
    except Unavailable as error:
        words = _words_of_files(settings, error)
    if options.output == "json":
        cli_print.as_json(words)
    else:
        _show(words)
    return 0 if words["running"] else 5


def _words_of_files(settings: Settings, error: Unavailable) -> dict[str, Any]:
    """Return what the files say, where the daemon is down and they may be read."""
    from penguin_agent.offline import offline_status  # noqa: PLC0415 -- heavy, rarely needed

    if error.code == HUNG:
        raise error
    try:
        return offline_status(settings.paths.state_dir)
    except PermissionError:
        raise error from None


def issues(options: argparse.Namespace, settings: Settings) -> int:
    """Show the server's verdicts with their remedies, the last known ones when offline."""
    try:
        words = ask(settings.paths.socket, "issues")
    except Unavailable:
        from penguin_agent.verdicts import VerdictFile  # noqa: PLC0415 -- rarely needed

        words = VerdictFile(settings.paths.state_dir / "verdicts.json").read()
        sys.stderr.write("The agent does not run, this may be old: systemctl start penguin-agent\n")
    if options.output == "json":
        cli_print.as_json(words)
        return 0
    if not words["audited_time"]:
        cli_print.line("The server has not told any verdict on this device yet.")
        return 0
    count = len(words["verdicts"])
    head = f"{count or 'No'} open issue{'' if count == 1 else 's'}"
    cli_print.line(f"{head}, as the server saw it at {words['audited_time']}.")
    for verdict in words["verdicts"]:
        _show_verdict(verdict)
    return 0


def _show(words: dict[str, Any]) -> None:
    rows: list[tuple[str, Any]] = [("agent", _agent_words(words)), *_device_rows(words)]
    if words.get("enrolled"):
        rows += _fleet_rows(words) + _collect_rows(words)
    cli_print.pairs(rows)
    if words.get("outputs"):
        cli_print.line()
        _show_outputs(words["outputs"])


def _fleet_rows(words: dict[str, Any]) -> list[tuple[str, Any]]:
    link = "connected" if words["connected"] else "not connected"
    rows = [
        ("server", f"{words['server']}, {link}"),
        *([("trouble", words["trouble"])] if words.get("trouble") else []),
        ("certificate", f"until {words['certificate_until']}, renewed by itself"),
        ("last accepted report", _accepted_words(words)),
        ("waiting reports", words.get("spool_depth", 0)),
        ("refused reports", words.get("dead_letters", 0)),
    ]
    rows += [(f"refused {letter['time']}", letter["reason"]) for letter in words.get("refused", ())]
    if (trust := words.get("trust")) and trust["expired"]:
        rows.append(("orders", f"none is obeyed: the trust document ended {trust['expires_time']}"))
    return rows


def _collect_rows(words: dict[str, Any]) -> list[tuple[str, Any]]:
    rows = [("clock", _clock_words(words["clock"]))] if "clock" in words else []
    rows += _release_rows(words["release"]) if "release" in words else []
    for name in ("benched", "failing"):
        rows += [(f"{name} plugins", ", ".join(words[name]))] if words.get(name) else []
    rows += [(f"not run: {name}", reason) for name, reason in words.get("problems", ())]
    forbidden = [name for name, allowed in words.get("allow", {}).items() if not allowed]
    rows += [("forbidden here", ", ".join(forbidden))] if forbidden else []
    if "outputs" in words:
        often = format_duration(timedelta(seconds=words["collect_interval_seconds"]))
        rows.append(("collected", f"every {often}, {len(words['outputs'])} outputs, listed below"))
        rows.append(("sent", "what changed, and nothing else; to see it: penguin-agent collect"))
    return rows


def _release_rows(release: dict[str, Any]) -> list[tuple[str, Any]]:
    name = "the package's own" if release["name"] == "0" else release["name"]
    rows = [("release", ", ".join(filter(None, (name, release.get("label", "")))))]
    if release.get("on_trial"):
        rows.append(("", "on trial: taken back unless it proves itself within minutes"))
    rows += [(f"altered: {path}", "not as it was signed") for path in release.get("altered", ())]
    rows += [(path, state) for path, state in release.get("scripts", {}).items()]
    if not release.get("sealed", True):
        rows.append(("plugins run", "from copies: this kernel runs no sealed memory"))
    return rows


def _show_outputs(outputs: list[dict[str, Any]]) -> None:
    width = max(len(output["name"]) for output in outputs)
    now = utc_now()
    for output in outputs:
        size = f"{output['bytes']} bytes, " if output["bytes"] else ""
        reason = f": {output['reason']}" if output["reason"] else ""
        local = ", from the local folder" if output["local"] else ""
        ago = cli_print.ago(output["collected_time"], now)
        cli_print.line(
            f"  {output['name']:{width}}  {output['status']}, {size}{ago}{local}{reason}"
        )


def _accepted_words(words: dict[str, Any]) -> str:
    if not words["running"]:
        return "not known while the agent does not run"
    time = words.get("last_accepted_time")
    return f"{time} ({cli_print.ago(time, utc_now())})" if time else "none since the agent started"


def _agent_words(words: dict[str, Any]) -> str:
    running = "running" if words["running"] else "not running (systemctl start penguin-agent)"
    return ", ".join(filter(None, (words.get("version", ""), running)))


def _device_rows(words: dict[str, Any]) -> list[tuple[str, Any]]:
    if words.get("enrolled"):
        approved = words["approval"] == "operator"
        how = "approved by an operator" if approved else "let in by a token"
        rows = [("device", f"{words['device_id']}, enrolled, {how}")]
    elif words.get("pending"):
        rows = [("device", f"{words['device_id']} waits for an operator's approval")]
    else:
        return [("device", "not enrolled (penguin-agent enroll)")]
    rows.append(("fleet", words["fleet"]))
    if words.get("fingerprint"):
        from penguin_agent.cli_enroll import spaced  # noqa: PLC0415 -- only here

        half = len(words["fingerprint"]) // 2
        rows.append(("key fingerprint", spaced(words["fingerprint"][:half])))
        rows.append(("", spaced(words["fingerprint"][half:])))
    return rows


def _clock_words(clock: dict[str, Any]) -> str:
    if clock["state"] == "ok":
        return "right"
    if clock["state"] == "doubtful":
        return "perhaps wrong: the server's certificate is not valid at this time (timedatectl)"
    skew = clock["skew_seconds"]
    detail = f", {skew} s ahead of the server's" if skew is not None else ""
    return f"wrong{detail}; turn on time synchronisation (timedatectl set-ntp true)"


def _show_verdict(verdict: dict[str, str]) -> None:
    cli_print.line()
    cli_print.line(f"{verdict['severity'].upper()} {verdict['check']}")
    cli_print.wrapped(verdict["summary"])
    if verdict["remedy"]:
        cli_print.wrapped(f"What to do: {verdict['remedy']}")
    if verdict["grace_until_time"]:
        cli_print.wrapped(f"Operators are told from {verdict['grace_until_time']} on.")
