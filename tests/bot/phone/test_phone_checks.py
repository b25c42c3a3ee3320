"""Nonsense in the telephone's settings is said at the start, with a hint."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage
from pytest_django.fixtures import Settings

from bot.phone import checks


def found(settings: Settings, **values: Any) -> list[CheckMessage]:
    """What the checks say of these settings; each has a hint."""
    for name, value in values.items():
        setattr(settings, name, value)
    all_checks = (checks.check_networks, checks.check_ports, checks.check_texts)
    messages = [message for check in all_checks for message in check()]
    assert all(message.hint for message in messages)
    return messages


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, []),
        ({"AUDIOSOCKET_ALLOW": ["10.0.0.0/8", "::1", "192.0.2.7"]}, []),
        ({"AUDIOSOCKET_ALLOW": ["10.0.0.1/8"]}, ["bot.E010"]),
        ({"AUDIOSOCKET_ALLOW": ["asterisk", "::1/200"]}, ["bot.E010", "bot.E010"]),
        ({"AUDIOSOCKET_HOST": "0.0.0.0"}, ["bot.E014"]),
        ({"AUDIOSOCKET_HOST": "asterisk.example"}, ["bot.E014"]),
        ({"AUDIOSOCKET_HOST": "::1"}, []),
        ({"AUDIOSOCKET_HOST": "localhost"}, []),
        ({"AUDIOSOCKET_HOST": "0.0.0.0", "AUDIOSOCKET_STRICT": True}, []),
        ({"AUDIOSOCKET_HOST": "0.0.0.0", "AUDIOSOCKET_ALLOW": ["::1"]}, []),
        ({"AUDIOSOCKET_HOST": "0.0.0.0", "AUDIOSOCKET_PORT": 0}, []),
        ({"AUDIOSOCKET_PORT": 90920}, ["bot.E011"]),
        ({"AUDIOSOCKET_PORT": 8080}, ["bot.E012"]),
        ({"BOT_HEALTH_PORT": 8000}, ["bot.E012"]),
        ({"AUDIOSOCKET_PORT": 0, "BOT_HEALTH_PORT": 0}, []),
        ({"CALL_GREETING": {"*": "Hi!", "uk": "Вітаю!"}}, []),
        ({"CALL_GOODBYE": {"english": "Bye!", "": "Bye!"}}, ["bot.E013"] * 2),
    ],
)
def test_nonsense_is_said(
    settings: Settings, values: dict[str, Any], said: list[str]
) -> None:
    assert [message.id for message in found(settings, **values)] == said
