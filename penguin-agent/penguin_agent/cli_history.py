"""`penguin-agent history`: what operators had this device do, and what it refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguin_agent import cli_print
from penguin_agent.control import HUNG, ask
from penguindome.errors import NotFound, Unavailable

if TYPE_CHECKING:
    import argparse

    from penguin_agent.config import Settings


def history(options: argparse.Namespace, settings: Settings) -> int:
    """List orders, the newest first, or tell all about those whose ids begin in some way."""
    orders = _ask(options.order or "", settings)
    if options.order and not orders:
        raise NotFound(
            "no order with that id came to this device",
            code="no-order",
            subject=options.order,
            remedy="penguin-agent history lists all",
        )
    if options.output == "json":
        cli_print.as_json({"orders": orders})
    elif options.order:
        for number, words in enumerate(orders):
            if number:
                cli_print.line()
            cli_print.pairs(_rows(words))
    else:
        _list(orders)
    return 0


def _ask(order: str, settings: Settings) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = ask(settings.paths.socket, "history", order=order)
    except Unavailable as error:
        if error.code == HUNG:
            raise
        from penguin_agent.orders.history import (  # noqa: PLC0415 -- rarely needed
            history_of_file,
        )

        try:
            found = history_of_file(settings.paths.state_dir / "orders" / "orders.db", order)
        except PermissionError:
            raise error from None
    return found


def _list(orders: list[dict[str, Any]]) -> None:
    if not orders:
        cli_print.line("Nobody has ordered anything of this device yet.")
    for words in orders:
        cli_print.line(f"{words['time']}  {words['order_id'] or '-':26}  {_what(words)}")
        cli_print.wrapped(f"{_who(words)}: {_ended(words)}")


def _what(words: dict[str, Any]) -> str:
    return f"{words['kind']} {words['what']}".strip()


def _who(words: dict[str, Any]) -> str:
    if not words["signed"]:
        times = f", {words['times']} times" if words["times"] > 1 else ""
        return f"not signed by those who may{times}"
    return f"{words['by']}, {words['reason']}" if words["reason"] else words["by"]


def _ended(words: dict[str, Any]) -> str:
    code = words["exit_code"]
    detail = words["outcome"] or (f"exit code {code}" if code is not None else "")
    return f"{words['state']}, {detail}" if detail else str(words["state"])


def _rows(words: dict[str, Any]) -> list[tuple[str, Any]]:
    rows = [
        ("order", words["order_id"] or "none"),
        ("kind", words["kind"]),
        ("what", words["what"]),
        ("who", words["by"] if words["signed"] else _who(words)),
        ("why", words["reason"]),
        ("written", words["issued_time"]),
        ("valid until", words["expires_time"]),
        ("came", words["time"]),
        ("began", words["started_time"]),
        ("ended", words["ended_time"]),
        ("outcome", _ended(words)),
        ("exit code", "" if words["exit_code"] is None else words["exit_code"]),
        *((one["part"], _ended(one)) for one in words["parts"]),
    ]
    return [(name, value) for name, value in rows if value != ""]
