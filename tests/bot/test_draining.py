"""A bot that is to stop lets its calls finish, for a while."""

from __future__ import annotations

import asyncio

from bot.draining import Draining


class Switchboard:
    """Has calls, and is told to take no more."""

    def __init__(self, active: int) -> None:
        self.active = active
        self.takes_more = True

    def drain(self) -> None:
        self.takes_more = False


async def is_over(draining: Draining, *, within_s: float = 2.0) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await draining.is_over.wait()
    except TimeoutError:
        return False
    return True


async def test_it_waits_for_the_last_call() -> None:
    draining, phone, rooms = Draining(within_s=60), Switchboard(1), Switchboard(1)
    running = asyncio.create_task(draining.run([phone, rooms]))
    await asyncio.sleep(0)
    assert phone.takes_more
    draining.ask()
    await asyncio.sleep(0.01)
    assert not phone.takes_more
    assert not rooms.takes_more
    phone.active = 0
    assert not await is_over(draining, within_s=0.7)
    rooms.active = 0
    assert await is_over(draining)
    await running


async def test_it_waits_no_longer_than_it_is_told() -> None:
    draining, phone = Draining(within_s=0.05), Switchboard(1)
    running = asyncio.create_task(draining.run([phone]))
    draining.ask()
    assert await is_over(draining)
    assert phone.active == 1
    await running


async def test_whoever_asks_twice_is_in_a_hurry() -> None:
    draining, phone = Draining(within_s=60), Switchboard(1)
    running = asyncio.create_task(draining.run([phone]))
    draining.ask()
    assert not await is_over(draining, within_s=0.05)
    draining.ask()
    assert await is_over(draining)
    await running


async def test_without_a_time_it_ends_at_once() -> None:
    draining, phone = Draining(within_s=0), Switchboard(1)
    running = asyncio.create_task(draining.run([phone]))
    draining.ask()
    assert await is_over(draining, within_s=0.2)
    assert phone.takes_more
    await running


async def test_what_is_broken_ends_at_once() -> None:
    draining = Draining(within_s=60)
    running = asyncio.create_task(draining.run([Switchboard(1)]))
    draining.hurry()
    assert await is_over(draining, within_s=0.2)
    await running
