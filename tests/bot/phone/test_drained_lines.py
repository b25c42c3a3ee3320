"""A phone server that is to stop: whom it still takes, and how it ends."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import numpy as np
import pytest
from answering import SILENCE, Ears, calling, opened, over, serving
from channels.db import database_sync_to_async
from scene import eventually
from telephone import RATE, noise

from bot.draining import Draining
from bot.models import Call
from bot.phone import server as phone_server
from bot.phone.conversation import Answered
from sessions.models import State

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quiet")]

in_db = database_sync_to_async
GOODBYE = b"\x00\x00\x00"


async def test_a_line_that_is_open_already_brings_no_new_call(ears: Ears) -> None:
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await reader.readexactly(len(SILENCE))
        server.drain()
        writer.write(b"\x01\x00\x10" + uuid.uuid4().bytes)
        async with asyncio.timeout(5):
            heard = await reader.read()
        assert heard.endswith(GOODBYE)
        assert not server.active
        writer.close()
    assert not await in_db(Call.objects.exists)()


async def test_a_running_call_may_come_over_such_a_line(ears: Ears) -> None:
    call, first_said, then_said = uuid.uuid4(), noise(0.5, seed=1), noise(0.5, seed=2)
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await reader.readexactly(len(SILENCE))
        async with calling(server, call=call) as first:
            await first.say(first_said, RATE)
            await opened(server)
            server.drain()
            writer.write(b"\x01\x00\x10" + call.bytes)
            await first.over(within_s=5)
            for frame in then_said.reshape(-1, len(SILENCE[3:]) // 2):
                writer.write(SILENCE[:3] + frame.tobytes())
            await writer.drain()
            assert server.active == 1
        writer.write(GOODBYE)
        await over(server)
        writer.close()
    (ear,) = ears.of_caller()
    assert np.array_equal(ear.pcm, np.concatenate([first_said, then_said]))


async def test_a_call_that_is_just_being_answered_is_waited_for(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_open, is_asked = asyncio.Event(), asyncio.Event()
    answer, sound = phone_server.answer, noise(0.5)

    async def answer_late(uuid: uuid.UUID, **known: Any) -> Answered:
        is_asked.set()
        await may_open.wait()
        return await answer(uuid, **known)

    monkeypatch.setattr(phone_server, "answer", answer_late)
    draining = Draining(within_s=60)
    async with serving() as server:
        async with calling(server) as caller:
            async with asyncio.timeout(5):
                await is_asked.wait()
            draining.ask()
            ended = asyncio.create_task(draining.run([server]))
            await eventually(lambda: not server.is_listening)
            assert server.active == 1
            assert not draining.is_over.is_set()
            may_open.set()
            await caller.say(sound, RATE)
        await over(server)
        async with asyncio.timeout(5):
            await ended
    (ear,) = ears.of_caller()
    assert np.array_equal(ear.pcm, sound)


async def test_a_call_that_is_being_answered_at_the_end_is_ended_in_order(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_open, is_asked = asyncio.Event(), asyncio.Event()
    answer = phone_server.answer

    async def answer_late(uuid: uuid.UUID, **known: Any) -> Answered:
        is_asked.set()
        await may_open.wait()
        return await answer(uuid, **known)

    monkeypatch.setattr(phone_server, "answer", answer_late)
    async with serving() as server, calling(server) as caller:
        async with asyncio.timeout(5):
            await is_asked.wait()
        ending = asyncio.create_task(server.shut_down())
        await eventually(lambda: server.is_closing)
        may_open.set()
        async with asyncio.timeout(5):
            await ending
        await caller.over(within_s=5)
        assert caller.end == "goodbye"
        call = await in_db(lambda: Call.objects.select_related("session").get())()
    assert call.end_reason == "shut_down"
    assert call.session is not None
    assert call.session.state == State.FINISHING


async def test_a_call_that_goes_on_when_the_time_is_up_is_ended_in_order(
    ears: Ears,
) -> None:
    asked_s: list[float] = []
    is_up = asyncio.Event()

    async def sleep(seconds: float) -> None:
        asked_s.append(seconds)
        await is_up.wait()

    draining, sound = Draining(within_s=1800, sleep=sleep), noise(1.0)
    async with serving() as server, calling(server) as caller:
        await caller.say(sound[: RATE // 2], RATE)
        await opened(server)
        draining.ask()
        ended = asyncio.create_task(draining.run([server]))
        await caller.say(sound[RATE // 2 :], RATE)
        (ear,) = ears.of_caller()
        await eventually(lambda: len(ear.pcm) == len(sound))
        assert asked_s == [1800]
        assert not caller.end
        assert not draining.is_over.is_set()
        is_up.set()
        await ended
        await server.shut_down()
        await caller.over(within_s=5)
        assert caller.end == "goodbye"
        call = await in_db(lambda: Call.objects.select_related("session").get())()
    assert call.end_reason == "shut_down"
    assert call.ended_at is not None
    assert call.session is not None
    assert call.session.state == State.FINISHING
    assert np.array_equal(ear.pcm, sound)
    assert ear.closed == 1
