"""Lines that break without a farewell: hung up, or a network that is gone?"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import uuid
from collections.abc import Callable

import numpy as np
import pytest
from answering import SILENCE, Ears, calling, opened, over, serving
from channels.db import database_sync_to_async
from telephone import RATE, noise

from bot.draining import Draining
from bot.models import Call
from bot.phone import conversation
from bot.phone.pacer import Wire
from bot.phone.server import PhoneServer
from sessions import events

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quiet")]

in_db = database_sync_to_async


async def reset(
    server: PhoneServer, call: uuid.UUID, *, met: Callable[[int], None] = lambda _: None
) -> None:
    """A call whose network resets it. `met`, with our socket's number, before the event
    loop has seen it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"\x01\x00\x10" + call.bytes + SILENCE * 10)
    await reader.readexactly(len(SILENCE) * 3)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line = (await opened(server)).line
    assert line._transport is not None
    number = line._transport.get_extra_info("socket").fileno()
    writer.transport.abort()
    asyncio.get_running_loop().call_soon(met, number)  # when it has gone
    await over(server)


async def test_a_call_reset_by_its_network_is_over_when_nobody_dials_again(
    ears: Ears, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asterisk also resets where somebody hung up with our sound on its way."""
    monkeypatch.setattr(conversation, "BROKEN_S", 0.3)
    async with serving() as server:
        await reset(server, uuid.uuid4())
        find = in_db(lambda: Call.objects.select_related("session").get())
        assert (await find()).ended_at is None
        async with asyncio.timeout(10):
            # Its session ends when what was said in it is written down.
            while (call := await find()).session.is_open:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert call.ended_at is not None
        assert call.end_reason == "hang_up"
        states = await in_db(events.replay)(call.session_id, after=0)
        assert [one.data["state"] for one in states if one.type == "call"][
            -1
        ] == "ended"
    assert "Traceback" not in capfd.readouterr().err


async def test_a_call_reset_by_its_network_goes_on_when_it_is_dialled_again(
    ears: Ears,
) -> None:
    call, sound = uuid.uuid4(), noise(0.8)
    async with serving() as server:
        await reset(server, call)
        async with calling(server, call=call) as again:
            await again.say(sound, RATE)
            row = await in_db(lambda: Call.objects.select_related("session").get())()
            assert row.ended_at is None
            assert row.session is not None
            assert row.session.is_open
        await over(server)
    _, ear = ears.of_caller()
    assert np.array_equal(ear.pcm, sound)


async def test_a_reset_that_the_pacer_has_met_is_no_hang_up(ears: Ears) -> None:
    """Linux tells it to the first who sends or reads."""

    def sends(number: int) -> None:
        wire = Wire(socket.socket(fileno=os.dup(number)))
        with pytest.raises(ConnectionResetError):
            wire.send(SILENCE)
        wire.close()

    async with serving() as server:
        await reset(server, uuid.uuid4(), met=sends)
        row = await in_db(lambda: Call.objects.select_related("session").get())()
        assert row.ended_at is None
        assert row.session is not None
        assert row.session.is_open


async def test_a_process_that_is_to_stop_waits_for_who_broke_off(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nobody would end the session of a call that was hung up at its last."""
    monkeypatch.setattr(conversation, "BROKEN_S", 0.3)
    async with serving() as server:
        draining = Draining(within_s=10)
        draining.ask()
        await reset(server, uuid.uuid4())
        await draining.run([server])
        call = await in_db(lambda: Call.objects.select_related("session").get())()
    assert call.session is not None
    assert not call.session.is_open
