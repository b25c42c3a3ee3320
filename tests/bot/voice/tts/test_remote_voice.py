"""The voice that a server lends, against servers of every kind."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import numpy as np
import pytest
from loopback import Asked, Script, Server

from bot.voice.tts import remote
from bot.voice.tts.engine import Block, SpeechError
from bot.voice.tts.remote import RemoteVoice

SOUND = np.arange(-2000, 2000, dtype=np.int16)
RATE = 22_050
FORMAT = struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
# As servers stream it: sizes are not known yet.
HEAD = b"RIFF\xff\xff\xff\xffWAVEfmt " + FORMAT + b"data\xff\xff\xff\xff"


def says(*pieces: bytes, kind: str = "audio/wav") -> Script:
    async def script(asked: Asked) -> None:
        await asked.begin(kind)
        for piece in pieces:
            await asked.send(piece)

    return script


@asynccontextmanager
async def asking(
    script: Script, **options: Any
) -> AsyncIterator[tuple[RemoteVoice, Server]]:
    async with Server(script) as server:
        voice = RemoteVoice(server.url, **({"model": "m"} | options))
        try:
            yield voice, server
        finally:
            await voice.close()


async def blocks(voice: RemoteVoice) -> list[Block]:
    return [block async for block in voice.speak("Good day.", language="en")]


async def failure(script: Script, **options: Any) -> SpeechError:
    async with asking(script, **options) as (voice, _):
        with pytest.raises(SpeechError) as error:
            await blocks(voice)
    return error.value


async def test_it_asks_as_openai_is_asked() -> None:
    script = says(HEAD + SOUND.tobytes())
    async with asking(script, key="k1", voice="alloy") as (voice, server):
        (block, *rest) = await blocks(voice)
        (asked,) = server.asked
    assert (asked.path, asked.key) == ("/v1/audio/speech", "Bearer k1")
    assert asked.question == {
        "model": "m",
        "voice": "alloy",
        "input": "Good day.",
        "response_format": "wav",
    }
    assert block.rate == RATE
    assert np.array_equal(np.concatenate([block.pcm, *(b.pcm for b in rest)]), SOUND)


async def test_bare_samples_are_taken_too() -> None:
    raw = SOUND.tobytes()
    script = says(raw[:101], raw[101:], kind="audio/pcm")
    async with asking(script, kind="pcm") as (voice, server):
        said = await blocks(voice)
        assert server.asked[0].question["response_format"] == "pcm"
    assert {block.rate for block in said} == {24_000}
    assert np.array_equal(np.concatenate([block.pcm for block in said]), SOUND)


async def test_sound_is_there_while_the_rest_is_made() -> None:
    heard = asyncio.Event()

    async def script(asked: Asked) -> None:
        await says(HEAD + SOUND.tobytes())(asked)
        await heard.wait()
        await asked.send(SOUND.tobytes())

    async with asking(script) as (voice, _):
        speech = voice.speak("Good day.", language="en")
        assert len((await anext(speech)).pcm) == len(SOUND)
        heard.set()
        assert len((await anext(speech)).pcm) == len(SOUND)
        await speech.aclose()


async def test_leaving_closes_the_stream_at_once() -> None:
    async def script(asked: Asked) -> None:
        await says(HEAD)(asked)
        while True:
            await asked.send(SOUND.tobytes())
            await asyncio.sleep(0.001)

    async with asking(script) as (voice, server):
        async with aclosing(voice.speak("Good day.", language="en")) as speech:
            await anext(speech)
        await asyncio.wait_for(server.left.wait(), 5)


@pytest.mark.parametrize(
    ("status", "code"), [(401, "refused"), (429, "busy"), (500, "failed")]
)
async def test_another_status_is_an_error(status: int, code: str) -> None:
    error = await failure(lambda asked: asked.refuse(status), key="k1")
    assert error.code == f"tts_{code}"
    assert str(status) in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (says(b'{"error": "no"}', kind="application/json"), "wav"),
        (says(b'{"error": "no"}', kind="application/json"), "pcm"),
        (says(b"<html>", kind="text/html"), "pcm"),
        (says(b"ID3 an mp3", kind="audio/mpeg"), "wav"),
        (says(HEAD[:30]), "wav"),
        (says(), "wav"),
    ],
)
async def test_words_are_no_sound(script: Script, kind: str) -> None:
    assert (await failure(script, kind=kind)).code == "tts_no_sound"


async def test_a_broken_off_answer_is_an_error() -> None:
    async def script(asked: Asked) -> None:
        await says(HEAD + SOUND.tobytes())(asked)
        asked.cut()

    assert (await failure(script)).code == "tts_cut_off"


async def test_who_never_answers_is_not_waited_for() -> None:
    async def script(asked: Asked) -> None:
        await asyncio.Event().wait()

    assert (await failure(script, timeout_s=0.05)).code == "tts_timeout"


async def test_who_is_slower_than_speech_is_not_waited_for() -> None:
    async def script(asked: Asked) -> None:
        await says(HEAD)(asked)
        while True:
            await asked.send(SOUND[:22].tobytes())  # 1 ms
            await asyncio.sleep(0.01)

    assert (await failure(script, timeout_s=0.1)).code == "tts_timeout"


async def test_sound_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_ANSWER_BYTES", 100_000)
    error = await failure(says(HEAD, *[SOUND.tobytes()] * 100))
    assert error.code == "tts_too_long"


async def test_a_broken_connection_is_tried_once_more_and_not_twice() -> None:
    tries = 0

    async def script(asked: Asked) -> None:
        nonlocal tries
        tries += 1
        asked.cut()

    assert (await failure(script)).code == "tts_unreachable"
    assert tries == 2
