"""The road from text to samples a source can send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from bot.voice.tts import speaker as speakers
from bot.voice.tts.engine import Block, Mute, SpeechError
from bot.voice.tts.espeak import Espeak
from bot.voice.tts.speaker import Speaker

RATES = [8000, 16_000, 48_000]


class FakeVoice:
    """Hums for a tenth of a second a character; `fail` makes it give up in the end."""

    name = "fake"

    def __init__(self, *, rate: int = 22_050) -> None:
        self.asked: list[tuple[str, str]] = []
        self.left = 0
        self.closed = False
        self._rate = rate
        self._fails = False

    def fail(self) -> None:
        self._fails = True

    async def speak(self, text: str, *, language: str) -> AsyncGenerator[Block, None]:
        self.asked.append((text, language))
        t = np.arange(self._rate // 10)
        hum = (8000 * np.sin(2 * np.pi * 440 * t / self._rate)).astype(np.int16)
        try:
            for _ in text:
                yield Block(hum, self._rate)
        except GeneratorExit:
            self.left += 1
            raise
        if self._fails:
            raise SpeechError("tts_failed", "It broke.")

    async def close(self) -> None:
        self.closed = True


async def collect(
    speaker: Speaker, text: str, *, rate: int = 8000, language: str = ""
) -> NDArray[np.int16]:
    pieces = [p async for p in speaker.speak(text, rate=rate, language=language)]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("own", [22_050, 8000, 48_000])
async def test_sound_has_the_rate_of_the_source_and_its_length(
    rate: int, own: int
) -> None:
    pcm = await collect(Speaker(FakeVoice(rate=own)), "ten letter", rate=rate)
    assert pcm.dtype == np.int16
    assert abs(len(pcm) - rate) <= 2
    spectrum = np.abs(np.fft.rfft(pcm.astype(float)))
    assert np.argmax(spectrum) * rate / len(pcm) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("level", [-26.0, -20.0])
async def test_it_is_as_loud_as_it_should_be(level: float) -> None:
    pcm = await collect(Speaker(FakeVoice(), level_dbfs=level), "ten letter")
    power = np.mean((pcm.astype(float) / 32768) ** 2)
    assert 10 * np.log10(power) == pytest.approx(level, abs=0.3)


@pytest.mark.parametrize("language", ["uk", "en", "de"])
async def test_every_language_is_equally_loud(language: str) -> None:
    pcm = await collect(Speaker(Espeak()), "Ви ще taxi 7?", language=language)
    frames = pcm[: len(pcm) // 160 * 160].reshape(-1, 160).astype(float) / 32768
    power = np.mean(frames**2, axis=1)
    spoken = power[power > power.max() / 100]
    assert 10 * np.log10(np.mean(spoken)) == pytest.approx(-26, abs=2)


async def test_what_was_said_is_kept_and_said_alike() -> None:
    voice = FakeVoice()
    speaker = Speaker(voice)
    assert speaker.kept("hello", rate=8000) is None
    first = await collect(speaker, "hello")
    again = await collect(speaker, " hello\n")
    assert np.array_equal(first, again)
    kept = speaker.kept("hello", rate=8000)
    assert kept is not None
    assert np.array_equal(kept, first)
    assert len(voice.asked) == 1
    await collect(speaker, "hello", language="uk")
    await collect(speaker, "hello", rate=48_000)
    assert voice.asked[1:] == [("hello", "uk"), ("hello", "en")]


async def test_what_was_not_said_to_its_end_is_not_kept() -> None:
    voice = FakeVoice()
    speaker = Speaker(voice)
    async with aclosing(speaker.speak("a long text", rate=8000)) as pieces:
        await anext(pieces)
    assert voice.left == 1
    assert speaker.kept("a long text", rate=8000) is None
    voice.fail()
    with pytest.raises(SpeechError):
        await collect(speaker, "broken")
    assert speaker.kept("broken", rate=8000) is None


async def test_a_cancelled_listener_stops_the_engine() -> None:
    voice = FakeVoice()
    begun = asyncio.Event()

    async def listen() -> None:
        async with aclosing(Speaker(voice).speak("x" * 500, rate=8000)) as pieces:
            async for _ in pieces:
                begun.set()

    task = asyncio.ensure_future(listen())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert voice.left == 1


async def test_prompts_are_there_before_the_first_call() -> None:
    voice = FakeVoice()
    speaker = Speaker(voice, cache_bytes=0)
    texts = ["Ви ще на лінії?", "Hello."]
    assert await speaker.prepare(texts, rate=8000, language="uk")
    assert await speaker.prepare(texts, rate=8000, language="uk")
    assert len(voice.asked) == 2
    assert all(
        speaker.kept(text, rate=8000, language="uk") is not None for text in texts
    )
    await collect(speaker, "something else")
    assert speaker.kept("something else", rate=8000) is None


async def test_a_prompt_that_cannot_be_made_is_told_and_the_others_are_made() -> None:
    voice = FakeVoice()
    speaker = Speaker(voice)
    await speaker.prepare(["one"], rate=8000)
    voice.fail()
    with capture_logs() as logs:
        assert not await speaker.prepare(["two", "one"], rate=8000)
    assert [log["code"] for log in logs] == ["tts_failed"]
    assert "two" not in str(logs)


async def test_other_tasks_run_while_a_quick_engine_speaks() -> None:
    turns = 0

    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(work())
    await collect(Speaker(FakeVoice()), "x" * 100)
    task.cancel()
    assert turns >= 100


async def test_what_cannot_be_said_asks_nobody() -> None:
    voice = FakeVoice()
    assert len(await collect(Speaker(voice), " ... \n")) == 0
    assert voice.asked == []
    assert len(await collect(Speaker(Mute()), "hello")) == 0


async def test_an_engine_without_end_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(speakers, "MAX_SPEECH_S", 0.5)
    with pytest.raises(SpeechError) as error:
        await collect(Speaker(FakeVoice()), "ten letter")
    assert error.value.code == "tts_too_long"


async def test_it_closes_its_engine() -> None:
    voice = FakeVoice()
    await Speaker(voice).close()
    assert voice.closed
