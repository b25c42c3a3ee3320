"""The ticker, on a clock of its own: one frame per line every 20 ms, always."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from bot.phone.pacing import FRAME_S, Ticker


class Clock:
    """Time that passes by sleeping, and by stalls."""

    def __init__(self) -> None:
        self.now = 100.0
        self.stalls: dict[float, float] = {}

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        for at in [at for at in self.stalls if at <= self.now]:
            self.now += self.stalls.pop(at)
        await asyncio.sleep(0)


@dataclass(eq=False)
class Line:
    clock: Clock
    sent: list[tuple[float, int]] = field(default_factory=list)
    broken: bool = False

    def tick(self, *, skipped: int) -> None:
        if self.broken:
            raise OSError("gone")
        self.sent.append((self.clock.now, skipped))


async def run(ticker: Ticker, clock: Clock, *, seconds: float) -> None:
    until = clock.now + seconds
    while clock.now < until:  # noqa: ASYNC110 (the clock is ours)
        await asyncio.sleep(0)


async def test_frames_keep_their_deadlines() -> None:
    clock = Clock()
    ticker = Ticker(clock=clock, sleep=clock.sleep)
    lines = [Line(clock) for _ in range(8)]
    for line in lines:
        ticker.add(line)
    await run(ticker, clock, seconds=2.0)
    for line in lines:
        ticker.remove(line)
        begun = line.sent[0][0]
        for number, (at, skipped) in enumerate(line.sent):
            assert at == pytest.approx(begun + number * FRAME_S, abs=1e-3)
            assert not skipped
    assert len({round(line.sent[0][0], 4) for line in lines}) == 4, "in four groups"


@pytest.mark.parametrize("stall_s", [0.05, 0.3, 2.0])
async def test_after_a_stall_frames_are_skipped_and_none_is_sent_twice(
    stall_s: float,
) -> None:
    clock = Clock()
    ticker = Ticker(clock=clock, sleep=clock.sleep)
    lines = [Line(clock) for _ in range(4)]
    for line in lines:
        ticker.add(line)
    clock.stalls = {100.5: stall_s}
    await run(ticker, clock, seconds=3.0)
    for line in lines:
        ticker.remove(line)
        begun = line.sent[0][0]
        count = 0
        for at, skipped in line.sent:
            count += skipped + 1
            due = begun + (count - 1) * FRAME_S
            assert at - due < 2 * FRAME_S, "never more than two behind"
            assert due - at < FRAME_S, "never ahead by a frame"


async def test_a_broken_line_silences_no_other() -> None:
    clock = Clock()
    ticker = Ticker(clock=clock, sleep=clock.sleep)
    broken, good = Line(clock, broken=True), Line(clock)
    for line in (broken, good):
        ticker.add(line)
    await run(ticker, clock, seconds=0.2)
    for line in (broken, good):
        ticker.remove(line)
    assert len(good.sent) >= 9


async def test_it_rests_without_lines_and_begins_again() -> None:
    clock = Clock()
    ticker = Ticker(clock=clock, sleep=clock.sleep)
    for _ in range(2):
        line = Line(clock)
        ticker.add(line)
        await run(ticker, clock, seconds=0.1)
        ticker.remove(line)
        for _ in range(10):
            await asyncio.sleep(0)
        now = clock.now
        for _ in range(100):
            await asyncio.sleep(0)
        assert clock.now == now
        assert len(line.sent) >= 4
