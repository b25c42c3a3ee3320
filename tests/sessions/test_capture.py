"""A capture: bytes find their place, and reach every listener whatever others do."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from scene import Clock, Listener, a_track

from sessions.capture.capture import Capture

FRAME = np.arange(320, dtype="<i2").tobytes()  # 20 ms at 16 kHz


class Scene:
    """A session that began 10 s ago, and one connection of it."""

    def __init__(self, *listeners: Listener, rate: int = 16_000, **how: Any) -> None:
        self.clock = Clock(now=500.0)
        self.listeners = listeners or (Listener(),)
        self.capture = Capture(
            a_track(),
            zero_s=490.0,
            rate=rate,
            sinks=list(self.listeners),
            clock=self.clock,
            **how,
        )

    def speaks(self, seconds: float, *, data: bytes = FRAME) -> None:
        for _ in range(round(seconds / 0.02)):
            self.clock.passes(0.02)
            self.capture.offer(data)

    @property
    def positions(self) -> list[int]:
        """Where the sound stands, the held back included."""
        self.capture.halt()
        return [placed.position for placed in self.listeners[0].heard]


def test_sound_stands_where_it_arrived_on_the_timeline() -> None:
    scene = Scene()
    scene.speaks(1.0)
    first = 10 * 48_000  # ten seconds in; the frame took 20 ms to speak
    assert scene.capture.origin == first
    assert scene.positions == [first + n * 960 for n in range(50)]
    assert scene.capture.received == 48_000


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
def test_each_rate_counts_in_the_timelines_samples(rate: int) -> None:
    scene = Scene(rate=rate)
    scene.speaks(0.5, data=bytes(rate // 50 * 2))
    assert scene.capture.received == 24_000
    assert np.diff(scene.positions).tolist() == [960] * 24


def test_a_tick_before_what_a_stall_delayed_takes_it_for_no_hole() -> None:
    """A few frames come 45 ms late; then the event loop stalls, and ticks first."""
    away_s = 0.0
    scene = Scene(away_s=lambda since: away_s)
    scene.speaks(2.0)
    scene.clock.passes(0.045)
    scene.speaks(0.1)
    away_s = 0.48
    scene.clock.passes(0.5)
    scene.capture.tick()
    scene.capture.offer(FRAME)
    away_s = 0.0
    for _ in range(23):
        scene.capture.offer(FRAME)
    scene.clock.passes(-0.015)
    scene.speaks(1.0)
    assert np.diff(scene.positions).tolist() == [960] * (100 + 5 + 24 + 50 - 1)


def test_a_listener_that_fails_loses_itself_and_nobody_else() -> None:
    broken, sound = Listener(), Listener()
    broken.fails = True
    scene = Scene(broken, sound)
    scene.speaks(1.0)
    scene.capture.halt()
    assert len(sound.heard) == 50


async def test_closing_reaches_all_listeners_once() -> None:
    broken, sound = Listener(), Listener()
    broken.fails_to_close = True
    scene = Scene(broken, sound)
    scene.speaks(0.1)
    await scene.capture.close()
    await scene.capture.close()
    assert (broken.closed, sound.closed) == (1, 1)


async def test_what_is_held_back_is_placed_by_a_tick_and_by_the_end() -> None:
    for let_go in ("tick", "close"):
        scene = Scene()
        heard = scene.listeners[0].heard
        scene.speaks(1.0)
        scene.clock.passes(8.0)  # a hole: the next frame is held until it is clear why
        scene.capture.offer(FRAME)
        assert len(heard) == 50
        scene.clock.passes(0.6)
        if let_go == "tick":
            scene.capture.tick()
        else:
            await scene.capture.close()
        assert len(heard) == 51


def test_after_the_halt_nothing_is_taken_or_counted() -> None:
    scene = Scene()
    scene.speaks(0.1)
    scene.capture.halt()
    scene.speaks(0.1)
    scene.capture.tick()
    assert scene.capture.received == 4800
    assert len(scene.positions) == 5


def test_a_returning_stream_goes_on_at_its_sample() -> None:
    scene = Scene(origin=8 * 48_000, received=2 * 48_000)
    scene.speaks(0.1)
    assert scene.positions[0] == 10 * 48_000


def test_what_was_skipped_is_a_gap_and_counts_as_received() -> None:
    scene = Scene()
    scene.speaks(1.0)
    scene.clock.passes(0.5)
    scene.capture.offer(b"", skipped=8000)  # half a second
    scene.speaks(0.1)
    assert scene.capture.received == 48_000 + 24_000 + 4800
    assert scene.positions[50] - scene.positions[49] == 960 + 24_000


def test_it_says_how_far_a_stream_is_ahead_of_time() -> None:
    scene = Scene()
    scene.speaks(1.0)
    assert scene.capture.ahead_s == pytest.approx(0.0, abs=0.03)
    scene.capture.offer(b"\0\0" * 16_000)
    assert scene.capture.ahead_s == pytest.approx(1.0, abs=0.03)


def test_safe_is_what_every_listener_has_settled() -> None:
    class Slow(Listener):
        at = 0

        def settled(self) -> int:
            return self.at

    slow = Slow()
    scene = Scene(slow, Listener())
    scene.speaks(1.0)
    assert scene.capture.secured == 0
    slow.at = 10 * 48_000 + 24_001
    assert scene.capture.secured == 24_000  # whole samples of the stream's rate
    slow.at = 99 * 48_000
    assert scene.capture.secured == scene.capture.received
    slow.at = 0
    assert scene.capture.secured == scene.capture.received


async def test_a_track_is_concluded_when_everybody_has_closed() -> None:
    slow, quick = Listener(), Listener()
    slow.may_close.clear()
    scene = Scene(slow, quick)
    closing = asyncio.create_task(scene.capture.close())
    while not quick.closed:  # noqa: ASYNC110
        await asyncio.sleep(0)
    assert not quick.concluded
    slow.may_close.set()
    await closing
    assert (slow.concluded, quick.concluded) == (1, 1)


@pytest.mark.parametrize("what", ["fails", "fails_to_close"])
async def test_a_track_somebody_did_not_hear_out_is_not_concluded(what: str) -> None:
    broken, good = Listener(), Listener()
    setattr(broken, what, True)
    scene = Scene(broken, good)
    scene.speaks(1.0)
    await scene.capture.close()
    assert good.closed
    assert not good.concluded
