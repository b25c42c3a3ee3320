"""What Discord says about somebody is taken only in the shape of its documents."""

from __future__ import annotations

from typing import Any

import pytest

from sessions.signin.answers import AnswerError, managed, profile


def test_a_profile_keeps_the_id_and_the_names() -> None:
    answer = {"id": "80351110224678912", "username": "nelly", "email": "n@x.test"}
    assert profile(answer) == {"id": "80351110224678912", "username": "nelly"}
    named = profile(answer | {"global_name": "Nelly"})
    assert named["global_name"] == "Nelly"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "x",
        {},
        {"id": "1"},
        {"id": 1, "username": "a"},
        {"id": "", "username": "a"},
        {"id": "x", "username": "a"},
        {"id": "9" * 21, "username": "a"},
        {"id": "1", "username": ""},
        {"id": "1", "username": None},
    ],
)
def test_a_profile_of_another_shape_is_refused(answer: Any) -> None:
    with pytest.raises(AnswerError):
        profile(answer)


@pytest.mark.parametrize(
    ("owner", "permissions", "manages"),
    [
        (True, "0", True),
        (False, "8", True),
        (False, "32", True),
        (False, "40", True),
        (False, str(0x20 | 0x400), True),
        (False, 0x8, True),
        (False, "0", False),
        (False, str(0x10 | 0x40 | 0x4), False),
        (False, None, False),
        ("yes", "0", False),
    ],
)
def test_a_guild_is_managed_by_its_owner_administrators_and_managers(
    owner: Any, permissions: Any, manages: bool
) -> None:
    guild = {"id": "77", "owner": owner, "permissions": permissions}
    assert managed([guild, {"id": "78"}]) == (["77"] if manages else [])


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"message": "401"},
        ["77"],
        [{"id": "77", "permissions": "many"}],
        [{"id": None, "owner": True}],
    ],
)
def test_guilds_of_another_shape_are_refused(answer: Any) -> None:
    with pytest.raises(AnswerError):
        managed(answer)
