"""One session on two machines: half of its people on each, and one transcript, one
master of it all. Nothing but PostgreSQL, Redis and a bucket is shared."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import pytest
from moto_server import moto_server
from postgres import postgres_server
from speech import voices
from stack import Stack, free_port, listens, redis_server, wait_for
from talk import FRAME_S, RATE, Microphone, reading, talk, word_errors, words_of
from test_recording import found_at, recordings, the_master

from bot.phone.caller import Caller

# Four talk in real time, and stand within milliseconds of each other.
pytestmark = pytest.mark.alone

APART_S = 0.02
LEAD_S = 3.0
"""Of silence: who calls is there before who comes by the page."""
PEOPLE = ("Ada", "Ben", "Cleo", "Dan")
"""Every other one on the second machine."""


@pytest.fixture
def hosts() -> Iterator[tuple[Stack, Stack]]:
    """Each with its own processes and disk."""
    with ExitStack() as parts:
        shared = {
            "SECRET_KEY": "the-same-on-each-of-them-0123456789-0123456789-abcdef",
            "DATABASE_URL": parts.enter_context(postgres_server()),
            "REDIS_URL": parts.enter_context(redis_server()),
            "S3_BUCKET": "parley",
            "S3_ENDPOINT_URL": parts.enter_context(moto_server()),
            "S3_ACCESS_KEY_ID": "key",
            "S3_SECRET_ACCESS_KEY": "secret",
            "RECORDING_CHUNK_S": "2",
        }
        # No bot yet, and so no reaper that would ring again: each host is rung once.
        one = Stack(programs=("web", "stt", "media"), **shared)
        one.manage("prepare")
        parts.enter_context(one)
        other = Stack(programs=("web", "stt", "media"), **shared)
        other.token = one.token
        parts.callback(other.stop)
        for name in ("web", "stt", "media"):
            other.start(name)
        other.wait_healthy()
        yield one, other


def joined_at(session: dict[str, Any], host: Stack, one: Stack) -> dict[str, Any]:
    """The session by another machine's address."""
    return session | {
        "audio_url": session["audio_url"].replace(one.ws_url, host.ws_url)
    }


def is_clear(host: Stack) -> bool:
    return not any((host.folder / "spool").glob("*"))


async def test_one_session_lives_on_two_machines(hosts: tuple[Stack, Stack]) -> None:
    one, other = hosts
    session = one.new_session()
    phrases = voices.unseen_phrases(len(PEOPLE), seed=12, min_words=3)
    said = [voices.speak_phrases([phrase], pause_s=0.1) for phrase in phrases]
    length = sum(map(len, said)) + 3 * RATE
    tracks, at = [], RATE
    for piece in said:  # one after another
        track = np.zeros(length, np.int16)
        track[at : at + len(piece)] = piece
        tracks.append((at, track))
        at += len(piece)
    async with reading(session) as viewer:
        sent = await asyncio.gather(
            *(
                talk(joined_at(session, host, one), track, name=name)
                for name, host, (_, track) in zip(
                    PEOPLE, (one, other) * 2, tracks, strict=True
                )
            )
        )
        await viewer.until(lambda v: len(v.lines) >= len(PEOPLE), within_s=60)
    sound = await asyncio.to_thread(the_master, other, session["id"])
    heard = {line["name"]: line["text"] for line in viewer.lines}
    assert set(heard) == set(PEOPLE)
    for name, phrase in zip(PEOPLE, phrases, strict=True):
        wrong = word_errors(words_of(phrase), words_of(heard[name]))
        assert wrong <= 0.34 * len(phrase.split()), (name, phrase, heard[name])
    places = [found_at(sound, piece) for piece in said]
    assert min(alike for _, alike in places) > 0.8, places
    truth = [
        begin + (one_sent.began_at - sent[0].began_at) * RATE
        for (begin, _), one_sent in zip(tracks, sent, strict=True)
    ]
    moved = np.array([place for place, _ in places]) - np.array(truth)
    print(f"apart: {np.abs(moved - moved[0]).max() / RATE * 1000:.1f} ms")
    assert np.abs(moved - moved[0]).max() <= APART_S * RATE
    rows = recordings(other, session["id"])
    assert all(row["state"] == "stored" for row in rows)
    assert [row["tier"] for row in rows].count("fragment") == len(PEOPLE)
    for host in hosts:  # each clears its own, whichever of them was done first
        wait_for("an empty spool", partial(is_clear, host), within_s=20)
    assert "agree" in one.manage("reconcile", "--dry-run")


async def test_a_caller_on_one_machine_and_a_browser_on_the_other_are_in_one_session(
    hosts: tuple[Stack, Stack],
) -> None:
    one, other = hosts
    port = free_port()
    other.start("bot", AUDIOSOCKET_PORT=str(port), TTS="none")
    await asyncio.to_thread(wait_for, "the phone", partial(listens, port), within_s=30)
    phrases = voices.unseen_phrases(2, seed=5, min_words=3)
    said = [voices.speak_phrases([phrase], pause_s=0.1) for phrase in phrases]
    caller = Caller("127.0.0.1", port)
    await caller.connect()
    quiet = [np.zeros(round(seconds * RATE), np.int16) for seconds in (LEAD_S, 1.0)]
    track = np.concatenate([quiet[0], np.zeros_like(said[0]), quiet[1], said[1]])

    async def calls() -> float:
        began_at = time.time()
        whole = np.concatenate([quiet[0], said[0], *quiet, said[1], quiet[1]])
        await caller.say(whole[::2], RATE // 2)
        return began_at - FRAME_S  # it sends a frame when that begins, not ends

    async def speaks() -> float:
        began_at = time.time()
        await Microphone(session["audio_url"], track).speak()
        return began_at

    def running() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = one.api("GET", "/sessions?state=active")["items"]
        return found

    calling = asyncio.create_task(calls())
    await asyncio.to_thread(wait_for, "the call", running, within_s=10)
    (found,) = await asyncio.to_thread(running)
    session = await asyncio.to_thread(one.api, "GET", f"/sessions/{found['id']}")
    async with reading(session) as viewer:
        began_at, spoke_at = await asyncio.gather(calling, speaks())
        await viewer.until(lambda v: len(v.lines) >= 2, within_s=60)
    sound = await asyncio.to_thread(the_master, one, session["id"])
    heard = {line["name"]: line["text"] for line in viewer.lines}
    for name, phrase in zip(("Caller", "Alice"), phrases, strict=True):
        wrong = word_errors(words_of(phrase), words_of(heard[name]))
        assert wrong <= 0.34 * len(phrase.split()), (name, phrase, heard[name])
    (first, alike), (second, alike_too) = (found_at(sound, piece) for piece in said)
    assert min(alike, alike_too) > 0.5
    apart_s = spoke_at - began_at + (len(said[0]) + RATE) / RATE
    moved_s = (second - first) / RATE - apart_s
    print(f"apart: {moved_s * 1000:+.1f} ms")
    assert abs(moved_s) <= APART_S
    for host in hosts:
        wait_for("an empty spool", partial(is_clear, host), within_s=20)
    assert "agree" in one.manage("reconcile", "--dry-run")
