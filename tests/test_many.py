"""The same road for many: PostgreSQL and Redis instead of SQLite and polling."""

from __future__ import annotations

import asyncio

import numpy as np
from postgres import postgres_server
from speech import voices
from stack import Stack, redis_server, wait_for
from talk import reading, talk, word_errors, words_of


async def test_the_road_holds_on_postgresql_and_redis() -> None:
    phrases = voices.unseen_phrases(4, seed=11)
    spoken = voices.speak_phrases(phrases, pause_s=1.2)
    pcm = np.concatenate([voices.silence(0.5), spoken, voices.silence(1.2)])
    with (
        postgres_server() as database,
        redis_server() as redis,
        Stack(DATABASE_URL=database, REDIS_URL=redis) as stack,
    ):
        session = stack.new_session()
        async with reading(session) as viewer:
            await asyncio.gather(talk(session, pcm), talk(session, pcm, name="Bob"))
            stack.api("POST", f"/sessions/{session['id']}/end")
            await viewer.until(lambda v: ended(v.of_type("state")), within_s=30)
        said = words_of(" ".join(phrases))
        for name in ("Alice", "Bob"):
            lines = [e for e in viewer.lines if e["name"] == name]
            heard = words_of(" ".join(e["text"] for e in lines))
            assert word_errors(said, heard) <= 0.2 * len(said)
        text = stack.api("GET", f"/sessions/{session['id']}/transcript.txt")
        assert len(text.splitlines()) == len(viewer.lines)
        wait_for("health", lambda: stack.health()["status"] == "ok", within_s=10)


def ended(states: list[dict[str, str]]) -> bool:
    return states[-1]["state"] == "ready"
