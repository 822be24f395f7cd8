"""Run a session at this terminal to its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from penguinctl import ui
from penguinctl.escapes import Escapes
from penguinctl.gpg_agent import end_agents
from penguinctl.shell import terminal
from penguinctl.shell.client import LEFT, Client
from penguinctl.shell.keyboard import Keyboard, follow_size
from penguinctl.shell.leg import Leg
from penguinctl.shell.opening import call_off, end_session
from penguinctl.shell.screen import Screen
from penguindome.channels import aio_channel
from penguindome.errors import PenguinDomeError
from penguindome.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penguinctl.app import App
    from penguinctl.shell.opening import Opened
    from penguindome.shell.frames import Exit

    Loop = Callable[[], Coroutine[object, object, None]]

# Frames follow one another.
_KEPT_BYTES = 4 * 1024 * 1024
# What a stream has to end in.
FAREWELL_SECONDS = 1.0


def run_shell(
    app: App, opened: Opened, *, has_terminal: bool, escape: bytes | None, filters: bool
) -> Exit:
    """Run a session; returns how it ended.

    Args:
        app: The running command.
        opened: The session.
        has_terminal: Whether our own terminal is to be raw.
        escape: The escape character; None for none.
        filters: Whether what acts on this machine is dropped from what is shown.
    """
    keep_freed_memory(_KEPT_BYTES, _KEPT_BYTES)
    local = terminal.Terminal() if has_terminal else None
    with local.raw() if local is not None else contextlib.nullcontext():
        how, client, number = asyncio.run(_run(app, opened, local, escape, filters=filters))
    if client.endpoint is None and how.code == LEFT:
        call_off(app, opened.order_id)
    elif how.code != LEFT:
        end_there(app, opened, client, how)
    if number is not None:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    if client.failure is not None:
        raise client.failure
    return how


async def _run(
    app: App,
    opened: Opened,
    local: terminal.Terminal | None,
    escape: bytes | None,
    *,
    filters: bool,
) -> tuple[Exit, Client, signal.Signals | None]:
    client = make_client(opened, in_raw=local is not None)
    ended_by = _leave_at_signals(client)
    if local is not None:
        follow_size(client)
    keyboard = Keyboard(client, Escapes(escape), local)
    screen = Screen(client, filters=filters)
    how = await attached(app, opened, client, [keyboard.run, screen.run])
    return how, client, next(iter(ended_by), None)


def _leave_at_signals(client: Client) -> list[signal.Signals]:
    """End the session in good order when we are told to end; return what told us, once it did."""
    came: list[signal.Signals] = []

    def leave(number: signal.Signals) -> None:
        came.append(number)
        client.leave()

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, leave, number)
    return came


def end_there(app: App, opened: Opened, client: Client, how: Exit) -> None:
    """Have the device end what only our side has ended: for a frame that was changed, say."""
    if not client.heard_end:
        end_session(app, opened.order_id, how.reason)


def make_client(opened: Opened, *, in_raw: bool) -> Client:
    """Return our end of a session; must be called in the event loop."""
    return Client(
        opened.ephemeral,
        opened.order,
        opened.expected,
        opened.device_key,
        terminal.say if in_raw else ui.note,
    )


async def attached(app: App, opened: Opened, client: Client, loops: list[Loop]) -> Exit:
    """Hold the link and run loops until the session ended."""
    leg = Leg(opened.order_id, client, lambda: _channel(app))

    async def guarded(loop: Loop) -> None:
        try:
            await loop()
        except PenguinDomeError as error:
            client.fail(error)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(guarded(one)) for one in (leg.run, *loops)]
        how = await client.ended
        if client.endpoint is not None and client.endpoint.is_joined:
            # The device ends when it knows that we have everything.
            leg.leave()
            await asyncio.wait(tasks[:1], timeout=FAREWELL_SECONDS)
        for one in tasks:
            one.cancel()
    return how


def _channel(app: App) -> Any:
    address = app.address
    folder = app.folder
    return aio_channel(
        address.host,
        address.port,
        anchors_pem=folder.read("anchor.pem"),
        key_pem=folder.read("key.pem"),
        cert_pem=folder.read("certificate.pem"),
        server_name=app.profile.host if app.server else "",
    )


def end_quickly(status: int) -> NoReturn:
    """End the program although a thread may still wait for standard input."""
    end_agents()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)
