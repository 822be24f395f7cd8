from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.penguindome.signing import Fleet, gpg_home

if TYPE_CHECKING:
    from collections.abc import Iterator

# Machines that run tests are busy: no deadline per example, and nothing left in the checkout.
settings.register_profile("shared", deadline=None, database=None, max_examples=60)
settings.load_profile("shared")


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    with gpg_home() as home:
        yield Fleet(home)
