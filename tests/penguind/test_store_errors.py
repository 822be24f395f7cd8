"""The database's failures become our errors in the store, and nowhere else."""

from __future__ import annotations

import asyncio
from dataclasses import fields

import logbook
import pytest

from penguind.domain.token import Token
from penguind.store.all import open_stores
from penguind.store.translation import translated
from penguindome.errors import InternalError, InvalidInput
from penguindome.ids import new_fleet_id
from penguindome.v1 import bootstrap_pb2 as boot
from tests.harness.database import fresh_database
from tests.harness.reporter import NOW
from tests.harness.serving import refusal, running


def in_database(mongo_uri, story):
    async def run():
        async with asyncio.timeout(60), fresh_database(mongo_uri) as database:
            await story(database, await open_stores(database, new_fleet_id()))

    asyncio.run(run())


def a_token(**facts):
    values = {"token_id": "t", "secret_hash": b"", "max_uses": 1, "uses": 0, "created_by": "a"}
    return Token(**{**values, "created_time": NOW, "expires_time": NOW, **facts})


def test_what_the_database_cannot_hold_or_has_already_is_invalid(mongo_uri):
    async def story(_, stores):
        with pytest.raises(InvalidInput, match="cannot hold"):
            await stores.tokens.insert(a_token(max_uses=1 << 70))
        with pytest.raises(InvalidInput, match="cannot hold"):
            await stores.tokens.insert(a_token(token_id="\ud800"))
        await stores.tokens.insert(a_token())
        with pytest.raises(InvalidInput, match="same id"):
            await stores.tokens.insert(a_token())

    in_database(mongo_uri, story)


def test_every_store_translates(mongo_uri):
    async def story(_, stores):
        for field in fields(stores):
            assert hasattr(getattr(stores, field.name).prepare, "__wrapped__"), field.name

    in_database(mongo_uri, story)


def test_methods_inside_a_transaction_see_the_drivers_own_errors():
    @translated
    class Store:
        async def read(self, *, session):
            raise OverflowError

        async def write(self):
            raise OverflowError

    with pytest.raises(OverflowError):
        asyncio.run(Store().read(session=None))
    with pytest.raises(InvalidInput):
        asyncio.run(Store().write())


def test_a_handlers_own_mistake_is_internal_and_logged_once_with_its_traceback(
    mongo_uri, monkeypatch
):
    async def story():
        async with running(mongo_uri) as server:

            async def broken(*_):
                raise OverflowError("a number of ours")

            monkeypatch.setattr("penguind.identity.enrollment.Enrollment.poll", broken)
            request = boot.PollEnrollmentRequest(nonce=b"n", device_id="d", signature=b"s")
            return await refusal(server.bootstrap.PollEnrollment(request))

    with logbook.TestHandler() as handler:
        error = asyncio.run(story())
    assert isinstance(error, InternalError)
    (record,) = (one for one in handler.records if "unexpectedly" in one.message)
    assert "a number of ours" in record.formatted_exception
    assert "in broken" in record.formatted_exception
    assert "a number" not in error.text()
