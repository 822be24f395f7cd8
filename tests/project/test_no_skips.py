"""A missing piece is a failure, never a skip: a skipped test says nothing."""

import re

import pytest

from tests.project import tree

SKIPS = re.compile(r"pytest\.(?:skip|importorskip)\b|mark\.skip(?:if)?\b|unittest\.skip")
TESTS = [
    path
    for path in tree.python_files()
    if "tests" in path.parts and path.name != "test_no_skips.py"
]


@pytest.mark.parametrize("path", TESTS, ids=tree.name)
def test_nothing_is_skipped(path):
    assert SKIPS.findall(path.read_text(encoding="utf-8")) == []
