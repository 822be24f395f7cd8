"""Reading what a command printed, from the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinctl import formats, order_show, ui, wire
from penguinctl.order_choices import UNFINISHED
from penguinctl.order_print import Output
from penguindome.errors import NotFound, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.app import App
    from penguindome.v1 import order_pb2

STREAMS = ("stdout", "stderr")


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
    """
    found = order_show.fetch(app, order_id, "command")
    meant = _meant(list(found.response.targets), device)
    if output_format == "table":
        pen = Output({one.device_id: one.hostname for one in meant})
        for one in meant:
            for stream in streams:
                _print(app, one, stream, pen)
            pen.end(one.device_id)
    else:
        rows = [_row(app, one, streams) for one in meant]
        fields = ["device_id", "hostname", *streams]
        formats.emit(output_format, {"outputs": rows}, rows, fields)
    if any(one.state in UNFINISHED for one in meant):
        ui.note("More may follow: it has not ended everywhere.")


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


def _print(app: App, one: order_pb2.OrderTarget, stream: str, pen: Output) -> None:
    with app.stream("order.ReadOutput", _request(one, stream)) as pieces:
        for piece in pieces:
            pen.add(one.device_id, stream, piece.data)


def _row(app: App, one: order_pb2.OrderTarget, streams: Sequence[str]) -> dict[str, str]:
    row = {"device_id": one.device_id, "hostname": one.hostname}
    for stream in streams:
        with app.stream("order.ReadOutput", _request(one, stream)) as pieces:
            data = b"".join(piece.data for piece in pieces)
        row[stream] = data.decode("utf-8", "backslashreplace")
    return row
