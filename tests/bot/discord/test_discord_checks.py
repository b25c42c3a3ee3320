"""Nonsense in Discord's settings is said at the start, with a hint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage
from pytest_django.fixtures import Settings
from stack import ROOT

from bot.discord import checks


def found(settings: Settings, **values: Any) -> list[CheckMessage]:
    """What the checks say of these settings; each has a hint."""
    for name, value in values.items():
        setattr(settings, name, value)
    asked = (checks.check_packages, checks.check_shards, checks.check_connector)
    messages = [message for check in asked for message in check()]
    assert all(message.hint for message in messages)
    return messages


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, []),
        ({"DISCORD_TOKEN": "t"}, []),
        ({"SHARD_COUNT": 4}, []),
        ({"SHARD_IDS": [0, 3], "SHARD_COUNT": 4}, []),
        ({"SHARD_IDS": [0]}, ["bot.E021"]),
        ({"SHARD_IDS": [0, 4, 5], "SHARD_COUNT": 4}, ["bot.E022"]),
        ({"DISCORD_CONNECTOR": "aiohttp.TCPConnector"}, []),
        ({"DISCORD_CONNECTOR": "nowhere.connector"}, ["bot.E023"]),
        ({"DISCORD_CONNECTOR": "aiohttp.Nothing"}, ["bot.E023"]),
        ({"DISCORD_CONNECTOR": "connector"}, ["bot.E023"]),
        ({"DISCORD_CONNECTOR": "bot.discord.checks.NEEDED"}, ["bot.E023"]),
    ],
)
def test_nonsense_is_said(
    settings: Settings, values: dict[str, Any], said: list[str]
) -> None:
    assert [message.id for message in found(settings, **values)] == said


@pytest.mark.parametrize("module", ["davey", "nacl", "discord"])
def test_a_token_without_its_packages_is_said(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setattr(
        checks, "find_spec", lambda name: None if name == module else object()
    )
    (message,) = found(settings, DISCORD_TOKEN="t")
    assert message.id == "bot.E020"
    assert checks.NEEDED[module] in message.msg


def test_without_a_token_nothing_is_missed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "find_spec", lambda _: None)
    assert found(settings) == []


def test_they_are_asked_at_every_start(tmp_path: Path) -> None:
    env = os.environ | {"DATA_DIR": str(tmp_path), "SHARD_IDS": "0"}
    env["DJANGO_SETTINGS_MODULE"] = "voiceproject.settings"
    words = [sys.executable, "manage.py", "check"]
    done = subprocess.run(
        words, cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "bot.E021" in done.stderr
