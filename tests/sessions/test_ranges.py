"""Which part of a file a player asks for."""

from __future__ import annotations

import pytest

from sessions import ranges


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("", (0, 100, 200)),
        ("bytes=0-", (0, 100, 206)),
        ("bytes=10-19", (10, 20, 206)),
        ("bytes=90-1000", (90, 100, 206)),
        ("bytes=-30", (70, 100, 206)),
        ("bytes=-3000", (0, 100, 206)),
        ("bytes=0-1,5-6", (0, 100, 200)),
        ("bytes=-", (0, 100, 200)),
        ("lines=1-2", (0, 100, 200)),
    ],
)
def test_one_range_is_answered_and_all_else_is_the_whole(
    header: str, part: tuple[int, int, int]
) -> None:
    found = ranges.wanted(header, size=100)
    assert (found.start, found.stop, found.status) == part
    assert not found.is_empty
    assert found.headers["Content-Length"] == str(found.stop - found.start)


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=50-40", "bytes=-0"])
def test_a_range_that_holds_nothing_is_known(header: str) -> None:
    assert ranges.wanted(header, size=100).is_empty


def test_an_empty_file_is_whole() -> None:
    assert not ranges.wanted("", size=0).is_empty
