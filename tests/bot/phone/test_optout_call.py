"""A caller presses the key: their track ends, what they said goes, the call goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from channels.db import database_sync_to_async
from pytest_django.fixtures import Settings
from scene import Listener, eventually
from telephone import RATE, noise

from bot.phone import tracks
from bot.phone.caller import Caller
from bot.phone.server import PhoneServer
from bot.phone.talking import build_talking
from bot.voice import owntrack
from sessions import finish, optout
from sessions.models import Erasure, Participant
from transcripts import doorbell

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> Listener:
    made = Listener()
    monkeypatch.setattr(tracks, "open_sinks", lambda _: [made])
    monkeypatch.setattr(owntrack, "record", lambda _: None)
    monkeypatch.setattr(finish, "ring", lambda _: None)
    monkeypatch.setattr(finish, "OTHERS_DEADLINE_S", 0.2)
    monkeypatch.setattr(doorbell, "ring", lambda *_, **__: True)
    return made


@pytest_asyncio.fixture
async def server(settings: Settings, tmp_path: Path) -> AsyncIterator[PhoneServer]:
    settings.DATA_DIR = tmp_path
    settings.TTS, settings.RESPONDER, settings.REDIS_URL = "none", "none", ""
    settings.PHONE_OPTOUT_DIGIT = "9"
    talking = build_talking()
    made = PhoneServer(talking)
    await made.start("127.0.0.1", 0)
    yield made
    await made.shut_down()
    await talking.close()


async def test_their_track_ends_and_the_call_goes_on(
    server: PhoneServer, ear: Listener
) -> None:
    caller = Caller("127.0.0.1", server.port, frame_ms=20)
    await caller.connect()
    try:
        await caller.say(noise(0.6), RATE, digits=[(0.3, "9")])
        await eventually(lambda: ear.closed)
        heard = len(ear.pcm)
        await caller.say(noise(0.4), RATE)
        await asyncio.sleep(0)
        assert len(ear.pcm) == heard < len(noise(0.6))
        (call,) = server.conversations
        assert not call.is_over
        wish = await _wish()
        assert wish.road == Erasure.Road.PHONE
        person = await Participant.objects.aget(key="caller")
        assert person.opted_out_at is not None
        (one,) = await in_db(optout.absent)(person.session_id)
        assert one.participant == person.public_id
    finally:
        caller.hang_up()


async def _wish() -> Erasure:
    for _ in range(500):
        if (found := await Erasure.objects.afirst()) is not None:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("nobody asked for it")
