"""The settings of voices and responders: what is built, and what is warned of."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from bot.voice.responder.build import build_responder
from bot.voice.responder.port import Echo, Listener
from bot.voice.responder.remote import RemoteResponder
from bot.voice.tts.build import build_speaker, build_voice
from bot.voice.tts.engine import Mute
from bot.voice.tts.espeak import Espeak
from bot.voice.tts.piper import Piper
from bot.voice.tts.remote import RemoteVoice

SERVER = {"URL": "https://x.org/v1", "MODEL": "m"}
TTS = {"TTS": "openai"} | {f"TTS_{name}": value for name, value in SERVER.items()}
RESPONDER = {"RESPONDER": "openai"} | {
    f"RESPONDER_{name}": value for name, value in SERVER.items()
}


def ids(**settings: Any) -> list[str]:
    with override_settings(**settings):
        found = run_checks()
    assert all(message.hint for message in found)
    return [str(message.id) for message in found]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, []),
        (TTS | RESPONDER, []),
        ({"TTS": "espaek"}, ["bot.E001"]),
        ({"TTS": "bot.voice.nothing.Here"}, ["bot.E001"]),
        ({"TTS": "bot.voice.tts.engine.Mute"}, []),
        ({"RESPONDER": "parrot"}, ["bot.E002"]),
        (TTS | {"TTS_URL": ""}, ["bot.E003"]),
        (TTS | {"TTS_URL": "ftp://x.org"}, ["bot.E003"]),
        (TTS | {"TTS_MODEL": ""}, ["bot.E004"]),
        (RESPONDER | {"RESPONDER_URL": "x.org/v1"}, ["bot.E005"]),
        (RESPONDER | {"RESPONDER_MODEL": ""}, ["bot.E006"]),
        ({"RESPONDER_TRANSFERS": ["sales", "a b"]}, ["bot.E009"]),
        ({"RESPONDER_TRANSFERS": ["x"], "RESPONDER_TOOLS": False}, ["bot.W001"]),
        ({"RESPONDER": "echo", "TTS": "none"}, ["bot.W002"]),
        (TTS | {"TTS_URL": "http://x.org", "TTS_KEY": "k"}, ["bot.W003"]),
        (TTS | {"TTS_URL": "http://localhost:1", "TTS_KEY": "k"}, []),
    ],
)
def test_bad_combinations_are_told_with_a_hint(
    settings: dict[str, Any], expected: list[str]
) -> None:
    assert ids(**settings) == expected


def test_piper_wants_its_extra_and_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.checks.find_spec", lambda name: None)
    assert ids(TTS="piper") == ["bot.E007", "bot.E008"]
    assert ids(TTS="piper", TTS_PIPER_MODEL="x.onnx") == ["bot.E007"]


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, Espeak),
        ({"TTS": "piper"}, Piper),
        ({"TTS": "none"}, Mute),
        ({"TTS": "bot.voice.tts.engine.Mute"}, Mute),
        (TTS, RemoteVoice),
    ],
)
def test_the_voice_is_the_one_asked_for(settings: dict[str, Any], kind: type) -> None:
    with override_settings(**settings):
        assert isinstance(build_voice(), kind)
        asyncio.run(build_speaker().close())


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, Listener),
        ({"RESPONDER": "echo"}, Echo),
        ({"RESPONDER": "bot.voice.responder.port.Echo"}, Echo),
        (RESPONDER, RemoteResponder),
    ],
)
def test_the_responder_is_the_one_asked_for(
    settings: dict[str, Any], kind: type
) -> None:
    with override_settings(**settings):
        assert isinstance(build_responder(), kind)
