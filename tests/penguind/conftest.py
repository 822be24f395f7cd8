"""Fixtures of the server's tests."""

from tests.harness.database import mongo_uri

__all__ = ["mongo_uri"]
