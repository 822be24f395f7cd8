"""Reading what a command printed, from the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penguinctl import exits, formats, order_show, order_view, ui, wire
from penguinctl.order_choices import UNFINISHED
from penguinctl.order_follow import receipt_of
from penguinctl.order_print import Output
from penguindome.display import printable
from penguindome.errors import NotFound, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penguinctl.app import App
    from penguindome.v1 import order_pb2

STREAMS = ("stdout", "stderr")
_NAMES = {"stdout": "standard output", "stderr": "standard error"}


def show(app: App, order_id: str, device: str, streams: Sequence[str], output_format: str) -> None:
    """Print what a command printed.

    Args:
        app: The running command.
        order_id: The command's order.
        device: A device's id or hostname; empty means all.
        streams: Of STREAMS.
        output_format: As -o gave it; a table is the bytes themselves.

    Raises:
        NotFound: There is no such command, or it is not for that device.
        PreconditionFailed: Several of its devices have that hostname.
        Exit: With WAITING, once all was printed, where a device ended and still owes some.
    """
    found = order_show.fetch(app, order_id, "command")
    meant = _meant(list(found.response.targets), device)
    if output_format == "table":
        owing = _print_all(app, meant, streams)
    else:
        printed = {one.device_id: _read(app, one, streams) for one in meant}
        rows = [_row(one, printed[one.device_id]) for one in meant]
        fields = ["device_id", "hostname", *streams]
        formats.emit(output_format, {"outputs": rows}, rows, fields)
        owing = [
            text
            for one in meant
            for stream, data in printed[one.device_id].items()
            for text in _owing(one, stream, len(data))
        ]
    if any(one.state in UNFINISHED for one in meant):
        ui.note("More may follow: it has not ended everywhere.")
    for text in owing:
        ui.note(text)
    if owing:
        raise click.exceptions.Exit(exits.WAITING)


def _meant(targets: list[order_pb2.OrderTarget], device: str) -> list[order_pb2.OrderTarget]:
    if not device:
        return targets
    name = device.lower()
    meant = [one for one in targets if name in (one.device_id, one.hostname.lower())]
    if not meant:
        raise NotFound("the command is not for that device", subject=device)
    if len(meant) > 1:
        ids = ", ".join(one.device_id for one in meant)
        raise PreconditionFailed(
            f"several of its devices have that hostname: {ids}",
            subject=device,
            code="ambiguous-device",
            remedy="Give the id of the one that you mean",
        )
    return meant


def _request(one: order_pb2.OrderTarget, stream: str) -> order_pb2.ReadOutputRequest:
    return wire.order_pb2.ReadOutputRequest(
        order_id=one.order_id, device_id=one.device_id, part=one.part, stream=stream
    )


def _print_all(
    app: App, meant: Sequence[order_pb2.OrderTarget], streams: Sequence[str]
) -> list[str]:
    """Print streams as they were; returns sentences about what is owed."""
    pen = Output({one.device_id: one.hostname for one in meant})
    owing = []
    for one in meant:
        for stream in streams:
            owing += _owing(one, stream, _print(app, one, stream, pen))
        pen.end(one.device_id)
    return owing


def _print(app: App, one: order_pb2.OrderTarget, stream: str, pen: Output) -> int:
    """Print a stream; returns how many bytes came."""
    size = 0
    with app.stream("order.ReadOutput", _request(one, stream)) as pieces:
        for piece in pieces:
            pen.add(one.device_id, stream, piece.data)
            size += len(piece.data)
    return size


def _read(app: App, one: order_pb2.OrderTarget, streams: Sequence[str]) -> dict[str, bytes]:
    found = {}
    for stream in streams:
        with app.stream("order.ReadOutput", _request(one, stream)) as pieces:
            found[stream] = b"".join(piece.data for piece in pieces)
    return found


def _row(one: order_pb2.OrderTarget, printed: Mapping[str, bytes]) -> dict[str, str]:
    row = {"device_id": one.device_id, "hostname": one.hostname}
    for stream, data in printed.items():
        row[stream] = data.decode("utf-8", "backslashreplace")
    return row


def _owing(one: order_pb2.OrderTarget, stream: str, size: int) -> list[str]:
    """Return a sentence about what a device that ended has yet to send, if it says that it has."""
    said = receipt_of(one)
    if said is None or not said.is_final:
        return []
    owed = (said.stdout_bytes if stream == "stdout" else said.stderr_bytes) - size
    if owed <= 0:
        return []
    name = printable(order_view.named(one))
    return [f"{name} has yet to send {owed:,} bytes of its {_NAMES[stream]}."]
