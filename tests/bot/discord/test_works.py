"""What is under way for a call: broken off, waited for, or the end of the call."""

from __future__ import annotations

import asyncio

import pytest

from bot.discord.works import Works
from sessions.errors import VoiceError


class Call:
    """One that counts how often it was told that it has crashed."""

    def __init__(self) -> None:
        self.crashes = 0
        self.works = Works(session=1, crashed=self.crash)
        self.done: list[str] = []
        self.may_go_on = asyncio.Event()

    def crash(self) -> None:
        self.crashes += 1

    async def work(self, name: str) -> None:
        await self.may_go_on.wait()
        self.done.append(name)

    async def fails(self) -> None:
        raise RuntimeError("this work is broken")


async def steps() -> None:
    """Let everything go on that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_begun_beside_a_call_is_broken_off_with_it() -> None:
    call = Call()
    call.works.start(call.work("greeting"), name="greeting")
    await steps()
    await call.works.end(within_s=5)
    call.may_go_on.set()
    await steps()
    assert call.done == []
    assert call.crashes == 0


async def test_what_fails_beside_a_call_is_not_its_end() -> None:
    call = Call()
    call.works.start(call.fails(), name="fails")
    await steps()
    assert call.crashes == 0


async def test_what_a_call_depends_on_and_fails_is_its_end() -> None:
    call = Call()
    call.works.depend(call.fails(), name="fails")
    await steps()
    assert call.crashes == 1


async def test_an_errand_is_waited_for_and_may_fail() -> None:
    call = Call()
    call.works.run(call.fails(), name="fails")
    call.works.run(call.work("errand"), name="errand")
    finishing = asyncio.create_task(call.works.finish())
    await steps()
    assert not finishing.done()
    call.may_go_on.set()
    await finishing
    assert call.done == ["errand"]
    assert call.crashes == 0


async def test_who_waits_for_a_work_is_told_that_the_call_has_ended() -> None:
    call = Call()
    waiting = asyncio.create_task(call.works.hold(call.work("opening")))
    await steps()
    await call.works.end(within_s=5)
    with pytest.raises(VoiceError) as told:
        await waiting
    assert told.value.code == "session_ended"


async def test_who_waits_for_a_work_has_its_error_and_the_call_goes_on() -> None:
    call = Call()
    with pytest.raises(RuntimeError):
        await call.works.hold(call.fails())
    assert call.crashes == 0


async def test_who_is_cancelled_takes_the_work_along() -> None:
    call = Call()
    waiting = asyncio.create_task(call.works.hold(call.work("opening")))
    await steps()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    call.may_go_on.set()
    await steps()
    assert call.done == []


async def test_nothing_is_begun_behind_the_end() -> None:
    call = Call()
    await call.works.end(within_s=5)
    call.may_go_on.set()
    call.works.start(call.work("late"), name="late")
    with pytest.raises(VoiceError):
        await call.works.hold(call.work("later"))
    await steps()
    assert call.done == []
