"""Checks of the database and of what it holds."""

from __future__ import annotations

import asyncio
import os
import platform
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from penguind.backup.files import RESTORING
from penguind.doctor.running import Finding, fail, ok, warn
from penguind.identity.trust import Trust
from penguind.mongod.paths import require_mongod
from penguind.store.all import missing_indexes
from penguind.store.backup_notes import BackupNotes
from penguind.store.dump import is_marked
from penguind.store.examined import outbox_backlog, server_facts
from penguind.store.ledger import LedgerStore
from penguind.store.trust import TrustStore
from penguindome.chain import GENESIS, verify_rows
from penguindome.errors import PreconditionFailed
from penguindome.times import format_duration, utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.doctor.examination import Examination
    from penguind.store.database import Database

_VERSION_SECONDS = 10
_OLDEST_GLIBC = (2, 34)
_RENEW_BEFORE = timedelta(days=60)
_WAITING_TOO_LONG = timedelta(hours=1)
_MANUAL_BACKUP_PERIOD = timedelta(days=8)
_ROWS, _PAGE = 1000, 1000


def mongod(examination: Examination) -> Finding:
    """Check that the embedded database's program can run here."""
    if not examination.settings.database.embedded:
        return ok("not needed: the database is the site's own")
    program = require_mongod()
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_VERSION_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return fail(f"{program} --version does not end", "install MongoDB anew")
    if done.returncode != 0:
        return fail(f"{program} does not start: {_why(done.stderr)}", "install MongoDB's packages")
    return ok(f"{program}: {done.stdout.partition(chr(10))[0]}")


def database(examination: Examination) -> Finding:
    """Check that the database answers, and as which version."""

    async def look() -> str:
        async with await examination.connect() as opened:
            facts = await server_facts(opened)
            return f"MongoDB {facts.version}, replica set {facts.set_name}, reads a majority"

    try:
        return ok(asyncio.run(look()))
    except PreconditionFailed as error:
        if examination.settings.database.embedded:
            return warn("the server does not run, nor does its database", "start penguind")
        return fail(error.reason, error.remedy)


def restore_ended(examination: Examination) -> Finding:
    """Check that no restore was left half-done."""
    if (examination.state_dir / RESTORING).exists() or examination.ask(is_marked):
        return fail("a restore has not ended", "run the same penguind restore again")
    return ok("no restore is unfinished")


def indexes(examination: Examination) -> Finding:
    """Check that all indexes exist."""
    missing = examination.ask(missing_indexes)
    if missing:
        return fail(f"missing: {', '.join(missing[:6])}", "restart penguind, which makes them")
    return ok("all indexes exist")


def trust(examination: Examination) -> Finding:
    """Check that there is a trust document, and for how long."""

    async def look(opened: Database) -> datetime | None:
        fleet = examination.settings.server.fleet_id
        document = await Trust(TrustStore(opened), fleet, utc_now).current()
        return None if document is None else document.expires_time

    ends = examination.ask(look)
    if ends is None:
        return warn("there is no trust document yet", "run penguinctl init as the first operator")
    text = f"the trust document ends on {ends:%Y-%m-%d}"
    if ends < examination.now:
        return fail(text, "penguinctl trust renew")
    return (
        warn(text, "penguinctl trust renew") if ends - examination.now < _RENEW_BEFORE else ok(text)
    )


def backups(examination: Examination) -> Finding:
    """Check that there is a recent backup."""
    made = examination.ask(lambda opened: BackupNotes(opened).made_time())
    settings = examination.settings.backup
    remedy = "set backup.directory, or run penguind backup FILE; keep backups on another machine"
    if made is None:
        return warn("no backup was ever made", remedy)
    age = examination.now - made
    text = f"the last backup was made {format_duration(age)} ago"
    longest = 2 * settings.interval if settings.directory else _MANUAL_BACKUP_PERIOD
    return warn(text, remedy) if age > longest else ok(text)


def outbox(examination: Examination) -> Finding:
    """Check that alerts leave."""
    waiting, oldest, failed = examination.ask(outbox_backlog)
    if oldest is not None and examination.now - oldest > _WAITING_TOO_LONG:
        age = format_duration(examination.now - oldest)
        return warn(
            f"{waiting} alerts wait, one for {age}", "see the check named alerts, and the log"
        )
    if failed:
        return warn(f"{failed} alerts reached nobody", "penguinctl alert list")
    return ok(f"{waiting} alerts wait")


def ledger(examination: Examination) -> Finding:
    """Check that the ledger's rows continue one another."""

    async def look(opened: Database) -> int:
        return await _verified(LedgerStore(opened), full=examination.full)

    count = examination.ask(look)
    return ok(f"{count} rows are intact{'' if examination.full else '; all of them: --full'}")


def processor(examination: Examination) -> Finding:
    """Check what the embedded database needs of processor and C library."""
    if not examination.settings.database.embedded:
        return ok("not needed: the database is the site's own")
    if platform.machine() == "x86_64" and " avx " not in Path("/proc/cpuinfo").read_text():
        return fail(
            "the processor has no AVX, which MongoDB needs", "name a server in database.uri"
        )
    words = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    version = tuple(int(part) for part in words[-1].split(".")[:2]) if words else ()
    if version < _OLDEST_GLIBC:
        return warn("the C library is older than glibc 2.34", "install MongoDB for this system")
    return ok(f"AVX or not needed; {' '.join(words)}")


async def _verified(store: LedgerStore, *, full: bool) -> int:
    """Verify the newest rows, or all; return how many."""
    head = await store.head()
    number = 0 if head is None or full else max(0, head.number - _ROWS)
    count, previous = 0, GENESIS
    while rows := await store.after(number, _PAGE):
        before = previous if count or not number else rows[0].previous_hash
        number, previous = verify_rows(rows, previous=before, number=number)
        count += len(rows)
    return count


def _why(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1][:200]
