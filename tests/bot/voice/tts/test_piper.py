"""Piper's port, with a model that counts instead of speaking."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bot.voice.tts.engine import SpeechError
from bot.voice.tts.piper import Piper


class FakeModel:
    """A second of sound for each sentence, as piper's voices give it."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def synthesize(self, text: str) -> Iterator[Any]:
        for sentence in text.split(". "):
            self.read.append(sentence)
            if sentence == "broken":
                raise RuntimeError("secret words")
            pcm = np.zeros((1, 16_000), np.int16)
            yield SimpleNamespace(audio_int16_array=pcm, sample_rate=16_000)


async def test_it_speaks_sentence_by_sentence_and_loads_once() -> None:
    loaded: list[str] = []
    model = FakeModel()

    def load(path: str) -> FakeModel:
        loaded.append(path)
        return model

    piper = Piper(model="uk.onnx", load=load)
    for _ in range(2):
        blocks = [block async for block in piper.speak("One. Two", language="uk")]
        assert [(len(b.pcm), b.rate) for b in blocks] == [(16_000, 16_000)] * 2
    assert loaded == ["uk.onnx"]
    await piper.close()


async def test_leaving_ends_it_after_a_sentence() -> None:
    model = FakeModel()
    piper = Piper(model="m", load=lambda path: model)
    async with aclosing(piper.speak("a. " * 10_000, language="en")) as speech:
        await anext(speech)
    assert [b async for b in piper.speak("last", language="en")]
    assert len(model.read) < 10_000
    await piper.close()


async def test_what_breaks_tells_its_kind_and_no_words() -> None:
    piper = Piper(model="m", load=lambda path: FakeModel())
    with pytest.raises(SpeechError) as error:
        [block async for block in piper.speak("One. broken", language="en")]
    assert error.value.message == "piper gave up (RuntimeError)."
    await piper.close()


async def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piper", None)
    piper = Piper(model="uk.onnx")
    with pytest.raises(SpeechError) as error:
        [block async for block in piper.speak("One", language="en")]
    assert error.value.code == "tts_unavailable"
    assert "--extra piper" in error.value.message
    await piper.close()


async def test_a_model_that_is_not_there_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(path: str) -> None:
        raise FileNotFoundError(path)

    found = SimpleNamespace(PiperVoice=SimpleNamespace(load=load))
    monkeypatch.setitem(sys.modules, "piper", found)
    piper = Piper(model="uk.onnx")
    with pytest.raises(SpeechError) as error:
        [block async for block in piper.speak("One", language="en")]
    assert "TTS_PIPER_MODEL" in error.value.message
    await piper.close()
