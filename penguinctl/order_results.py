"""Following an order until enough of it ended, and what is said of it then."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from penguinctl import exits, formats, moments, order_view, ui
from penguinctl.order_follow import Following, Seen
from penguinctl.order_print import Output
from penguindome.display import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from penguinctl.app import App
    from penguindome.v1 import order_pb2

# Of more devices than this only those are listed where it did not succeed.
_LISTED = 50


class Watcher:
    """Shows what happens to an order in the form that was asked for.

    Args:
        names: The hostnames of its devices by id.
        form: As -o gave it.
        output: Whether what programs print is shown.
    """

    def __init__(self, names: Mapping[str, str], form: str, *, output: bool) -> None:
        self._names = names
        self._form = form
        self._live = Output(names) if output and form == "table" else None
        self._kept: dict[tuple[str, str], bytearray] = {}

    def follow(self, app: App, order: order_pb2.Order, *, wait: bool) -> Seen:
        """Follow it until all ended whose devices are there, or all at all.

        Raises:
            Exit: With INTERRUPTED, after ctrl-C.
        """
        told = False
        try:
            with Following(app, order, output=True) as following:
                seen = following.seen
                for event in following:
                    if event is not None:
                        self._tell(seen, event)
                    if seen.started and not told:
                        told = True
                        _tell_offline(app, seen)
                    if seen.started and not (_unfinished(seen) if wait else seen.awaited()):
                        break
        except KeyboardInterrupt:
            interrupted(order)
        self._flush(self._names)
        return seen

    def texts(self, one: order_pb2.OrderTarget) -> dict[str, str]:
        """Return what a target's program printed, as text."""
        return {
            stream: bytes(self._kept.get((one.device_id, stream), b"")).decode(
                "utf-8", "backslashreplace"
            )
            for stream in ("stdout", "stderr")
        }

    def _tell(self, seen: Seen, event: order_pb2.WatchOrderResponse) -> None:
        what = event.WhichOneof("event")
        if self._form == "ndjson":
            value = self._event(event)
            if value:
                ui.out(json.dumps(value, ensure_ascii=True))
                sys.stdout.flush()
        elif what == "output" and self._live is not None:
            self._live.add(event.device_id, event.output.stream, event.output.data)
        elif what == "output":
            place = (event.device_id, event.output.stream)
            self._kept.setdefault(place, bytearray()).extend(event.output.data)
        if what == "target" and seen.is_done(event.target):
            self._flush([event.target.device_id])

    def _event(self, event: order_pb2.WatchOrderResponse) -> dict[str, Any]:
        what = event.WhichOneof("event")
        if what == "order":
            return {"event": "order"} | order_view.order_json(event.order)
        if what == "target":
            return {"event": "target"} | order_view.target_json(event.target)
        if what == "output":
            return {
                "event": "output",
                "device_id": event.device_id,
                "hostname": self._names.get(event.device_id, ""),
                "part": event.output.part,
                "stream": event.output.stream,
                "offset": event.output.offset,
                "text": event.output.data.decode("utf-8", "backslashreplace"),
            }
        return {}

    def _flush(self, device_ids: Iterable[str]) -> None:
        if self._live is not None:
            for device_id in device_ids:
                self._live.end(device_id)


def _unfinished(seen: Seen) -> list[order_pb2.OrderTarget]:
    return [one for one in seen.targets.values() if not seen.is_done(one)]


def _tell_offline(app: App, seen: Seen) -> None:
    away = [one for one in seen.left() if not one.connected]
    if not away:
        return
    what = "1 device is" if len(away) == 1 else f"{len(away):,} devices are"
    gets = "it gets it when it connects" if len(away) == 1 else "they get it when they connect"
    end = moments.local(seen.order.expires_unix_ms, app.now)
    names = ", ".join(printable(one.hostname) for one in away[:5])
    more = f" and {len(away) - 5:,} more" if len(away) > 5 else ""
    ui.note(f"{what} offline ({names}{more}); {gets}, until {end}")


def interrupted(order: order_pb2.Order) -> NoReturn:
    """End the command after ctrl-C; say how to go on."""
    ui.note()
    ui.note(
        f"No longer watching order {order.order_id}; it goes on. See how it ends:"
        f" penguinctl order show {order.order_id}"
    )
    if order.kind == "command":
        ui.note(f"Call it off: penguinctl command cancel {order.order_id}")
    raise click.exceptions.Exit(exits.INTERRUPTED)


def summarize(seen: Seen) -> None:
    """Say on standard error how it ended where."""
    targets = seen.sorted()
    if len(targets) == 1:
        _one_line(targets[0])
        return
    listed = targets
    if len(targets) > _LISTED:
        listed = [one for one in targets if one.state != "succeeded"][: _LISTED * 4]
    # The answer itself is what the programs printed; this stands beside it.
    with contextlib.redirect_stdout(sys.stderr):
        if listed:
            order_view.results(listed)
        if len(listed) < len(targets):
            by_state: dict[str, int] = {}
            for one in targets:
                by_state[one.state] = by_state.get(one.state, 0) + 1
            ui.out(f"{len(targets):,} devices: {order_view.counted(by_state)}")
        sys.stderr.flush()


def _one_line(one: order_pb2.OrderTarget) -> None:
    parts: list[str | ui.Styled] = [f"{printable(one.hostname)}: ", order_view.styled(one.state)]
    if one.HasField("exit_code"):
        parts.append(f", exit code {one.exit_code}")
    if (spent := order_view.seconds(one)) is not None:
        parts.append(f", {spent:.1f} s")
    if (why := order_view.why(one)) != "-":
        parts.append(f": {printable(why)}")
    ui.note(*parts)


def document(
    order: order_pb2.Order,
    rows: Sequence[dict[str, Any]],
    output_format: str,
    fields: list[str],
) -> None:
    """Print an order with its targets for programs; csv has the targets alone."""
    value = {"order": order_view.order_json(order), "targets": list(rows)}
    formats.emit(output_format, value, rows, fields)


def exit_code(targets: Iterable[order_pb2.OrderTarget], left_out: int = 0) -> int:
    """Return how a command ends: FAILED beats WAITING beats OK.

    Args:
        targets: All of an order.
        left_out: How many devices it left out, as they forbid it.
    """
    states = [one.state for one in targets]
    if left_out or any(state in order_view.UNHAPPY for state in states):
        return exits.FAILED
    return exits.OK if all(state == "succeeded" for state in states) else exits.WAITING
