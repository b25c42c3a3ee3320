"""A whole call over loopback: what is said on both sides is heard, kept and written."""

from __future__ import annotations

import asyncio
import io
import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import pytest
import soxr
from numpy.typing import NDArray
from speech import voices
from stack import ALL, Stack, free_port, wait_for

from bot.phone.caller import Caller

PHONE_RATE = 8_000


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {"AUDIOSOCKET_PORT": free_port(), "BOT_HEALTH_PORT": free_port()}


@pytest.fixture(scope="module")
def stack(ports: dict[str, int]) -> Iterator[Stack]:
    settings = {name: str(port) for name, port in ports.items()}
    settings |= {"RESPONDER": "echo", "STT_LANGUAGE": "en"}
    with Stack(programs=ALL, **settings) as running:
        wait_for("the phone", lambda: health(ports)["listening"], within_s=20)
        yield running


def health(ports: dict[str, int]) -> dict[str, Any]:
    url = f"http://127.0.0.1:{ports['BOT_HEALTH_PORT']}/health"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
    except OSError:
        return {"listening": False}
    return found


def at_phone(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
    """As a telephone sends it: whole frames of 20 ms."""
    sound = soxr.resample(pcm, voices.SAMPLE_RATE_HZ, PHONE_RATE)
    return np.append(sound, np.zeros(-len(sound) % 160, np.int16))


def track(stack: Stack, session: str, participant: str) -> NDArray[np.float64]:
    """One person's sound by the public way: mono at 48 kHz from time zero."""
    url = f"{stack.url}/api/sessions/{session}/tracks/{participant}.wav"
    key = {"Authorization": f"Bearer {stack.token}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=key)) as answer:
        data = answer.read()
    with av.open(io.BytesIO(data), "r") as file:
        frames = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
    return np.concatenate(frames).astype(np.float64)


def lag(recorded: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[int, float]:
    """Where the truth stands in a recording (samples), and how alike it is."""
    size = 1 << (len(recorded) + len(truth)).bit_length()
    spectrum = np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(truth, size))
    match = np.fft.irfft(spectrum, size)[: len(recorded)]
    at = int(np.argmax(match))
    there = recorded[at : at + len(truth)]
    return at, float(match[at] / (np.linalg.norm(there) * np.linalg.norm(truth)))


async def test_a_call_is_answered_recorded_and_written_down(
    stack: Stack, ports: dict[str, int]
) -> None:
    phrases = voices.unseen_phrases(3, seed=5, min_words=3)
    said = [at_phone(voices.speak_phrases([one], pause_s=0.1)) for one in phrases]
    caller = Caller("127.0.0.1", ports["AUDIOSOCKET_PORT"])
    await caller.connect()
    await caller.wait(4.5)  # the greeting
    for pcm in said:
        await caller.say(pcm, PHONE_RATE)
        await caller.wait(4.5)
    caller.press("7")
    await caller.wait(0.3)
    assert health(ports)["active_calls"] == 1
    caller.hang_up()
    await caller.over(within_s=5)

    found = stack.api("GET", "/sessions?source=phone")["items"][0]
    session = found["id"]

    def is_ready() -> bool:
        return bool(stack.api("GET", f"/sessions/{session}")["state"] == "ready")

    await asyncio.to_thread(wait_for, "the master", is_ready, within_s=40)
    assert health(ports)["active_calls"] == 0
    people = stack.api("GET", f"/sessions/{session}")["participants"]
    ids = {person["name"]: person["id"] for person in people}
    assert set(ids) == {"Caller", "Parley"}

    lines = stack.api("GET", f"/sessions/{session}/transcript.json")["lines"]
    theirs = [line["text"] for line in lines if line["name"] == "Caller"]
    ours = [line["text"] for line in lines if line["name"] == "Parley"]
    assert theirs == phrases
    assert ours[0].startswith("Hello!")
    assert ours[1:] == phrases, "the echo"

    # The caller's track, true to the sample: all phrases at one and the same lag.
    heard = track(stack, session, ids["Caller"])
    sent_at = np.cumsum([4.5 * 48_000, *(len(pcm) * 6 + 4.5 * 48_000 for pcm in said)])
    places = [
        lag(heard, soxr.resample(pcm.astype(np.float64), PHONE_RATE, 48_000))
        for pcm in said
    ]
    moved = np.array([at for at, _ in places]) - sent_at[:-1]
    assert min(alike for _, alike in places) > 0.8, places
    assert np.abs(moved - moved[0]).max() <= 1, moved

    # Ours: what came over the line is what is on the track, sample for sample; where
    # frames were skipped on a busy machine, whole ones are missing on the line.
    kept = track(stack, session, ids["Parley"])
    moved = []
    for at, piece in spurts(caller):
        found_at, alike = lag(kept, soxr.resample(piece, PHONE_RATE, 48_000))
        assert alike > 0.8
        moved.append(found_at - at * 6)
    assert len(moved) >= 4
    skipped = (np.array(moved) - moved[0]) / 960
    assert np.abs(skipped - np.rint(skipped)).max() <= 1 / 960, moved
    assert 0 <= np.rint(skipped).max() <= 5, moved
    events = transitions(stack, session)
    assert events[:3] == ["connected", "greeting", "listening"]
    assert events.count("processing") == events.count("speaking") == 3
    assert events[-1] == "ended"
    assert max(one.audio.rate for one in caller.heard) == PHONE_RATE


def spurts(caller: Caller) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """What the caller heard: where each spurt of speech began, and its samples."""
    begun, piece = 0, list[NDArray[np.int16]]()
    for number, one in enumerate(caller.heard):
        frame = np.frombuffer(one.audio.pcm, "<i2")
        if frame.any():
            begun = begun if piece else number * 160
            piece.append(frame)
        elif piece:
            if len(piece) > 20:
                yield begun, np.concatenate(piece).astype(np.float64)
            piece = []


def transitions(stack: Stack, session: str) -> list[str]:
    code = (
        "from sessions.models import SessionEvent as E;"
        f"print(*E.objects.filter(session__public_id='{session}', type='call')"
        ".values_list('data__state', flat=True))"
    )
    return stack.manage("shell", "-v0", "-c", code).split()
