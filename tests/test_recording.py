"""From a microphone to the master: nothing of what was said is missing or moved."""

from __future__ import annotations

import asyncio
import io
import urllib.request
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from speech import voices
from stack import Stack, wait_for
from talk import Microphone, talk


@pytest.fixture
def stack() -> Iterator[Stack]:
    with Stack(RECORDING_CHUNK_S="2") as running:
        yield running


def the_master(stack: Stack, session_id: str) -> NDArray[np.float64]:
    """The finished master by the public way, decoded: mono at 16 kHz."""
    if stack.api("GET", f"/sessions/{session_id}")["state"] == "active":
        stack.api("POST", f"/sessions/{session_id}/end")

    def is_ready() -> bool:
        return bool(stack.api("GET", f"/sessions/{session_id}")["state"] == "ready")

    wait_for("the master", is_ready, within_s=40)
    key = {"Authorization": f"Bearer {stack.token}"}
    url = f"{stack.url}/api/sessions/{session_id}/download"
    with urllib.request.urlopen(urllib.request.Request(url, headers=key)) as answer:
        data = answer.read()
    with av.open(io.BytesIO(data), "r") as file:
        to_16k = av.AudioResampler("s16", "mono", 16_000)
        frames = [f for d in file.decode(audio=0) for f in to_16k.resample(d)]
    return np.concatenate([f.to_ndarray()[0] for f in frames]).astype(float)


def found_at(sound: NDArray[np.float64], piece: NDArray[np.int16]) -> tuple[int, float]:
    """Where a piece stands in a recording (samples), and how alike it is (1: equal)."""
    size = 1 << (len(sound) + len(piece)).bit_length()
    spectrum = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(piece, size))
    match = np.fft.irfft(spectrum, size)[: len(sound) - len(piece)]
    at = int(np.argmax(match))
    there = sound[at : at + len(piece)]
    alike = match[at] / (np.linalg.norm(there) * np.linalg.norm(piece.astype(float)))
    return at, float(alike)


def recordings(stack: Stack, session_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.api("GET", f"/sessions/{session_id}/recordings")
    return found


async def test_two_who_talk_stand_in_the_master_as_they_spoke(stack: Stack) -> None:
    session = stack.new_session()
    phrases = voices.unseen_phrases(4, seed=8, min_words=3)
    said = [voices.speak_phrases([one], pause_s=0.1) for one in phrases]
    quiet = [voices.silence(len(one) / 16_000) for one in said]
    ada = np.concatenate([said[0], quiet[1], said[2], quiet[3]])
    ben = np.concatenate([quiet[0], said[1], quiet[2], said[3]])
    lead = voices.silence(1.0)
    began = await asyncio.gather(
        talk(session, np.concatenate([lead, ada, lead]), name="Ada"),
        talk(session, np.concatenate([lead, ben, lead]), name="Ben"),
    )
    sound = await asyncio.to_thread(the_master, stack, session["id"])
    places = [found_at(sound, piece) for piece in said]
    assert min(alike for _, alike in places) > 0.8, places
    starts = np.cumsum([0, *map(len, said)])[:-1]
    later = int((began[1].began_at - began[0].began_at) * 16_000)
    starts[[1, 3]] += later  # Ben's microphone opened so much later
    moved = np.array([at for at, _ in places]) - starts
    print("moved (samples at 16 kHz):", moved - moved[0])
    assert np.abs(moved - moved[0])[2] == 0  # one connection: exact to the sample
    assert np.abs(moved - moved[0]).max() <= 0.020 * 16_000  # two: both by arrival
    rows = recordings(stack, session["id"])
    tiers = [row["tier"] for row in rows]
    assert tiers.count("fragment") == 2
    assert tiers.count("transcript") == 2
    assert tiers.count("chunk") >= 4
    assert all(row["state"] == "stored" for row in rows)
    assert not any((stack.folder / "spool").glob("*"))


async def test_a_killed_web_process_costs_the_recording_nothing(stack: Stack) -> None:
    session = stack.new_session()
    phrases = voices.unseen_phrases(5, seed=9, min_words=3)
    said = [voices.speak_phrases([one], pause_s=0.3) for one in phrases]
    pcm = np.concatenate([voices.silence(1.0), *said, voices.silence(1.0)])
    microphone = Microphone(session["audio_url"], pcm[: len(pcm) // 320 * 320])
    speaking = asyncio.create_task(microphone.speak())
    await asyncio.sleep(4)
    stack.kill("web")
    stack.start("web")
    await asyncio.to_thread(stack.wait_healthy)
    await asyncio.wait_for(speaking, 60)
    assert len(microphone.resumed_at) >= 2
    sound = await asyncio.to_thread(the_master, stack, session["id"])
    places = [found_at(sound, piece) for piece in said]
    assert min(alike for _, alike in places) > 0.8, places
    starts = np.cumsum([0, *map(len, said)])[:-1]
    moved = np.array([at for at, _ in places]) - starts
    print("moved (samples at 16 kHz):", moved - moved[0])
    assert np.abs(moved - moved[0]).max() <= 0.020 * 16_000
