"""Faces: initials people know themselves by, a colour each, as the scripts have it."""

from __future__ import annotations

import pytest

from sessions.faces import SLOTS, faces, initials


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Ada Lovelace", "AL"),
        ("Zoë", "Z"),
        ("jean luc picard", "JP"),
        ("", "?"),
        ("ß", "S"),
    ],
)
def test_it_takes_the_first_letters(name: str, letters: str) -> None:
    assert initials(name) == letters


def test_whoever_comes_back_keeps_their_colour() -> None:
    drawn = faces(["Ada", "Ben", "Ada", "Cleo"])
    assert [(face.name, face.slot) for face in drawn] == [
        ("Ada", 0),
        ("Ben", 1),
        ("Cleo", 2),
    ]


def test_there_are_only_so_many_colours() -> None:
    drawn = faces(f"person {number}" for number in range(SLOTS + 1))
    assert drawn[SLOTS].slot == drawn[0].slot
