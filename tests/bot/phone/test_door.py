"""Who may connect, and who may ask: strangers take no room from whoever is known."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from typing import Any

import pytest
from answering import SILENCE, Ears, calling, opened, serving
from pytest_django.fixtures import Settings
from scene import Clock, eventually

from bot.phone import door
from bot.phone import server as phone_server
from bot.phone.conversation import Answered
from bot.phone.door import Door

STRANGER = "192.0.2.7"


def come(at: Door, peer: str, times: int, *, since: int = 0) -> list[bool]:
    """So many connections of one; each is known by its number."""
    lines = range(since, since + times)
    return [at.lets_in((peer, number), peer) for number in lines]


def test_one_stranger_has_little_room_and_others_have_theirs() -> None:
    at = Door([])
    assert come(at, STRANGER, 65) == [True] * 64 + [False]
    assert come(at, "192.0.2.8", 1) == [True]


def test_who_has_said_a_uuid_or_is_gone_makes_room() -> None:
    at = Door([])
    come(at, STRANGER, 64)
    at.left((STRANGER, 0))
    at.left((STRANGER, 0))  # it said a UUID, and later it is gone
    assert come(at, STRANGER, 2, since=64) == [True, False]


def test_all_strangers_together_leave_this_machine_its_room() -> None:
    at = Door([])
    for number in range(20):
        come(at, f"198.51.100.{number}", 64)
    assert come(at, STRANGER, 1) == [False]
    assert all(come(at, "127.0.0.1", 100))


def test_whoever_is_allowed_is_no_stranger_and_nobody_else_is_let_in() -> None:
    at = Door(["192.0.2.0/24"])
    assert all(come(at, STRANGER, 100))
    assert all(come(at, f"::ffff:{STRANGER}", 100))
    assert come(at, "127.0.0.1", 1) == [False]
    assert come(at, "no address", 1) == [False]
    assert not at.may_ask("127.0.0.1")


def test_who_is_gone_before_they_were_seen_is_a_stranger() -> None:
    at = Door([])
    assert come(at, "", 65) == [True] * 64 + [False]


def test_a_network_of_ipv6_is_one_stranger() -> None:
    at = Door([])
    assert all(all(come(at, f"2001:db8::{n:x}", 1)) for n in range(64))
    assert come(at, "2001:db8::ffff", 1) == [False]
    assert come(at, "2001:db8:0:1::1", 1) == [True]


def test_a_stranger_asks_only_so_often() -> None:
    clock = Clock()
    at = Door([], clock=clock)
    asked = [at.may_ask(STRANGER) for _ in range(301)]
    assert asked == [True] * 300 + [False]
    assert at.may_ask("192.0.2.8")
    clock.passes(1.0)
    assert [at.may_ask(STRANGER) for _ in range(21)] == [True] * 20 + [False]
    assert all(at.may_ask("127.0.0.1") for _ in range(1000))


def test_it_does_not_remember_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "STRANGERS_MAX", 3)
    at = Door([])
    for number in range(10):
        at.may_ask(f"192.0.2.{number}")
    assert list(at._asked) == ["192.0.2.7", "192.0.2.8", "192.0.2.9"]


@pytest.fixture
def _strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is known, not even on this machine."""
    monkeypatch.setattr(Door, "_who", lambda _, peer: peer)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("quiet", "_strangers")
async def test_a_host_that_says_nothing_keeps_nobody_out(ears: Ears) -> None:
    async with serving() as server, contextlib.AsyncExitStack() as lines:
        for _ in range(door.STRANGER_HALF_OPEN_MAX):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            lines.callback(writer.close)
            await reader.readexactly(len(SILENCE))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        lines.callback(writer.close)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        here = ("127.0.0.2", 0)  # another host
        _, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, local_addr=here
        )
        lines.callback(writer.close)
        writer.write(b"\x01\x00\x10" + uuid.uuid4().bytes)
        await opened(server)
        assert len(server._door._half_open) == door.STRANGER_HALF_OPEN_MAX
        await lines.aclose()
        await eventually(lambda: not server._door._half_open)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("quiet", "_strangers")
async def test_uuids_that_are_refused_cost_a_stranger_their_turn(
    ears: Ears, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.AUDIOSOCKET_STRICT = True
    monkeypatch.setattr(door, "ASKED_BURST", 3.0)
    monkeypatch.setattr(door, "ASKED_PER_S", 0.0)
    asked: list[uuid.UUID] = []
    answer = phone_server.answer

    async def asking(call: uuid.UUID, **known: Any) -> Answered:
        asked.append(call)
        return await answer(call, **known)

    monkeypatch.setattr(phone_server, "answer", asking)
    async with serving() as server:
        for _ in range(5):
            async with calling(server) as caller:
                await caller.over(within_s=5)
                assert caller.end == "goodbye"
    assert len(asked) == 3
