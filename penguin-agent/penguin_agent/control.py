"""The control socket: what anybody on this machine may ask, and what only root may.

One JSON object a line each way: {"verb": …} -> {"result": …} or {"error": …}. The socket is open to
all; the kernel says who is calling (SO_PEERCRED, unix(7)).

Trust: any local user may connect and send anything.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logbook import Logger

from penguindome.errors import Forbidden, InvalidInput, PenguinDomeError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

log = Logger(__name__)

LINE_LIMIT = 8 * 1024
ANSWER_LIMIT = 4 * 1024 * 1024
IDLE_SECONDS = 10.0
HUNG = "not-answering"
CALLERS = 16
_FIRST_PERSON = 1000
_NO_PERSONS = range(61_184, 65_536)
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Verb:
    """What a request does; it gets the request's object and returns JSON.

    `admin` is for root alone, `people` for those besides it who are no accounts of services.
    """

    action: Callable[[Mapping[str, Any]], Any]
    admin: bool = False
    people: bool = False


class ControlSocket:
    """Serves verbs at a path."""

    def __init__(self, path: Path, verbs: Mapping[str, Verb]) -> None:
        self._path = path
        self._verbs = verbs
        self._callers = asyncio.Semaphore(CALLERS)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; whatever an earlier process left at the path goes."""
        if not self._path.parent.exists():
            self._path.parent.mkdir(parents=True)
            # The umask keeps everything private; here others have to find the socket.
            self._path.parent.chmod(0o755)
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(
            self._serve, path=str(self._path), limit=LINE_LIMIT
        )
        self._path.chmod(0o666)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._callers.locked():
                return
            async with self._callers:
                async with asyncio.timeout(IDLE_SECONDS):
                    line = await reader.readline()
                    answer = self._answer(line, _caller_uid(writer))
                    writer.write(json.dumps(answer).encode() + b"\n")
                    await writer.drain()
        except (OSError, TimeoutError, ValueError) as error:
            log.debug("A caller of the control socket went away: {}", error)
        finally:
            writer.close()

    def _answer(self, line: bytes, uid: int) -> dict[str, Any]:
        try:
            request = json.loads(line)
            verb = self._verbs[request["verb"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            return _error(InvalidInput("the request is not understood"))
        if verb.admin and uid not in (0, os.geteuid()):
            return _error(Forbidden("only root may do that", remedy="Use sudo"))
        if verb.people and uid not in (0, os.geteuid()) and not is_person(uid):
            return _error(Forbidden("a service's account may not do that"))
        try:
            return {"result": verb.action(request)}
        except PenguinDomeError as error:
            return _error(error)


def is_person(uid: int) -> bool:
    """Tell whether an account may be a person's.

    Source: https://systemd.io/UIDS-GIDS/; what is kept out are system accounts, those that systemd
    makes for services, and nobody.
    """
    return uid >= _FIRST_PERSON and uid not in _NO_PERSONS


def ask(path: Path, verb: str, **arguments: Any) -> Any:
    """Ask the running daemon; returns the result.

    Raises:
        Unavailable: No daemon listens.
        Forbidden: The caller may not do that.
        InvalidInput: The daemon did not understand.
    """
    request = json.dumps({"verb": verb, **arguments}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(IDLE_SECONDS)
            channel.connect(str(path))
            channel.sendall(request)
            with channel.makefile("rb") as stream:
                answer = json.loads(stream.readline(ANSWER_LIMIT))
    except TimeoutError:
        raise Unavailable(
            "the agent's daemon runs but does not answer",
            code=HUNG,
            subject=str(path),
            remedy="See its log; restart it: systemctl restart penguin-agent",
        ) from None
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"the agent's daemon does not answer ({error})",
            code="not-running",
            subject=str(path),
            remedy="Start it: systemctl start penguin-agent",
        ) from None
    if "error" in answer:
        kind = Forbidden if answer["error"].get("code") == "forbidden" else InvalidInput
        raise kind(str(answer["error"]["reason"]), remedy=str(answer["error"].get("remedy", "")))
    return answer["result"]


def _caller_uid(writer: asyncio.StreamWriter) -> int:
    channel = writer.get_extra_info("socket")
    data = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(data)
    return int(uid)


def _error(error: PenguinDomeError) -> dict[str, Any]:
    return {"error": {"code": error.code, "reason": error.reason, "remedy": error.remedy}}
