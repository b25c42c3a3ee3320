"""eSpeak NG as it comes with Parley, heard by the repository's own model."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from django.test import override_settings
from numpy.typing import NDArray
from speech import voices

from bot.voice.tts import espeak
from bot.voice.tts.engine import Block, SpeechError
from bot.voice.tts.espeak import Espeak
from bot.voice.tts.speaker import Speaker
from transcripts.stt import WhisperEngine

MODEL = Path(__file__).resolve().parents[3] / "speech" / "model"


async def said(text: str, *, language: str, variant: str = "") -> NDArray[np.int16]:
    voice = Espeak(variant=variant)
    blocks = [block async for block in voice.speak(text, language=language)]
    assert {block.rate for block in blocks} == {22_050}
    return np.concatenate([block.pcm for block in blocks])


def seconds(pcm: NDArray[np.int16]) -> float:
    return len(pcm) / 22_050


def pitch(pcm: NDArray[np.int16]) -> float:
    """How often a voice swings, by its autocorrelation, Hz."""
    smooth = np.convolve(pcm.astype(float), np.ones(60), "valid")
    middle = smooth[len(smooth) // 3 :][:6000]
    alike = np.correlate(middle, middle, "full")[len(middle) :]
    return float(22_050 / (81 + np.argmax(alike[80:300])))


async def test_it_asks_in_ukrainian_whether_somebody_is_there() -> None:
    pcm = await said("Ви ще на лінії?", language="uk")
    assert 0.8 < seconds(pcm) < 2.5
    assert np.abs(pcm).max() > 3000
    english = await said("Ви ще на лінії?", language="en")
    assert seconds(english) > 2 * seconds(pcm)  # spells what it cannot read


@pytest.mark.parametrize(
    ("language", "like"),
    [
        ("uk-UA", "uk"),
        ("uk_UA", "uk"),
        ("EN-us", "en-us"),
        ("zh", "cmn"),
        ("no", "nb"),
        ("xx", "en"),
        ("../../etc/passwd", "en"),
        ("en+f3", "en"),
    ],
)
async def test_codes_are_understood_as_they_come(language: str, like: str) -> None:
    # Every language takes a time of its own to read these; espeak varies it by 10 ms.
    one, other = [await said("1984, 3567", language=c) for c in (language, like)]
    assert seconds(one) == pytest.approx(seconds(other), abs=0.03)


async def test_languages_differ() -> None:
    codes = ["en", "uk", "cmn", "nb"]
    times = sorted([seconds(await said("1984, 3567", language=c)) for c in codes])
    assert all(later - earlier > 0.06 for earlier, later in pairwise(times))


async def test_a_variant_is_another_voice_and_an_unknown_one_is_none() -> None:
    usual = await said("hello", language="en")
    assert pitch(await said("hello", language="en", variant="f3")) > 1.5 * pitch(usual)
    for variant in ("nobody", "../x", "f3;"):
        assert len(await said("hello", language="en", variant=variant)) > 0


async def test_many_may_speak_at_once() -> None:
    texts = [f"call number {n}" for n in range(12)]
    codes = ["en", "uk", "de"] * 4
    pairs = list(zip(texts, codes, strict=True))
    alone = [await said(text, language=code) for text, code in pairs]
    together = await asyncio.gather(*(said(t, language=code) for t, code in pairs))
    for one, other in zip(alone, together, strict=True):
        assert seconds(one) == pytest.approx(seconds(other), abs=0.03)


async def test_it_stops_where_nobody_listens_any_more() -> None:
    text = "one two three four five six seven eight nine ten. " * 20
    before = threading.active_count()
    for _ in range(20):
        async with aclosing(Espeak().speak(text, language="en")) as speech:
            block = await anext(speech)
            assert isinstance(block, Block)
    assert len(await said("hello", language="en")) > 0
    assert threading.active_count() <= before + 1


async def test_a_loop_that_ends_in_mid_speech_does_no_harm() -> None:
    def leave() -> None:
        async def begin() -> None:
            await anext(Espeak().speak("one two three " * 50, language="en"))

        asyncio.run(begin())

    await asyncio.to_thread(leave)
    assert len(await said("hello", language="en")) > 0


@pytest.mark.parametrize("text", ["\0", "[[_^_en]] <b>&amp;", "字" * 300, "a" * 900])
async def test_it_survives_any_text(text: str) -> None:
    blocks = [block async for block in Espeak().speak(text, language="uk")]
    assert sum(len(block.pcm) for block in blocks) <= 22_050 * espeak.MAX_SPEECH_S


async def test_a_machine_without_the_library_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import espeakng_loader

    gone = str(tmp_path / "none.so")
    monkeypatch.setattr(espeakng_loader, "get_library_path", lambda: gone)
    with pytest.raises(SpeechError) as error:
        espeak._load()
    assert error.value.code == "tts_unavailable"


async def test_it_can_be_understood_on_the_telephone() -> None:
    with override_settings(STT_MODEL=str(MODEL), STT_CPU_THREADS=1):
        whisper = WhisperEngine()
    speaker = Speaker(Espeak())
    pause = voices.silence(0.4)
    phrases = ["yes", "hello", "stop", "send the budget report"]
    heard = []
    for phrase in phrases:
        pieces = [p async for p in speaker.speak(phrase, rate=8000, language="en-us")]
        sound = voices.resample(np.concatenate(pieces), 8000)
        audio = np.concatenate([pause, sound, pause]).astype("<i2").tobytes()
        heard.append(await asyncio.to_thread(whisper.final, audio, language="en"))
    assert [words.text for words in heard] == phrases


async def test_another_espeak_in_the_process_is_left_alone() -> None:
    ours = await said("hello", language="en")
    theirs = voices.speak("hello")
    assert len(theirs) > 0
    assert seconds(await said("hello", language="en")) == pytest.approx(
        seconds(ours), abs=0.03
    )
    assert abs(len(voices.speak("hello")) - len(theirs)) < 500
