"""One speaker's packets to placed sound, by an injected clock."""

from __future__ import annotations

import numpy as np
import pytest
from babble import babble
from opus_packets import LOOK_AHEAD, encoded
from scene import Clock, Listener, a_track, counted
from structlog.testing import capture_logs

from sessions.capture.packets import PacketCapture

SECOND = 48_000
TICKS = 960


class Scene:
    """A session that began 10 s ago, and one speaker in it, 30 ms away."""

    def __init__(self) -> None:
        self.clock = Clock(now=500.0)
        self.listener = Listener()
        self.capture = PacketCapture(
            a_track(),
            zero_s=490.0,
            sinks=[self.listener],
            clock=self.clock,
        )
        self.sequence, self.timestamp = 65_530, 2**32 - 5 * TICKS

    def speaks(self, packets: list[bytes], *, lost: tuple[int, ...] = ()) -> None:
        for number, opus in enumerate(packets):
            self.clock.passes(0.02)
            if number not in lost:
                self.comes(opus)
            self.sequence += 1
            self.timestamp += TICKS
            if number % 12 == 0:
                self.capture.tick()

    def comes(self, opus: bytes) -> None:
        self.capture.offer(
            opus,
            ssrc=7,
            sequence=self.sequence & 0xFFFF,
            timestamp=self.timestamp & 0xFFFFFFFF,
            came_at=self.clock(),
        )

    def is_silent(self, seconds: float) -> None:
        """As Discord's clients: the clock of the packets runs on."""
        for _ in range(round(seconds / 0.25)):
            self.clock.passes(0.25)
            self.capture.tick()
        self.timestamp += round(seconds * SECOND)

    @property
    def track(self) -> np.ndarray:
        """What was heard, from where it began."""
        self.capture.halt()
        heard = self.listener.heard
        sound = np.zeros(heard[-1].end - heard[0].position, np.int16)
        for one in heard:
            at = one.position - heard[0].position
            sound[at : at + len(one.pcm)] = one.pcm
        return sound


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_voice_stands_where_it_was_spoken(scene: Scene) -> None:
    """Over the wrap of both of RTP's numbers."""
    voice = babble(2 * SECOND)
    scene.speaks(encoded(voice))
    track = scene.track
    assert abs(scene.listener.heard[0].position - 10 * SECOND) <= 10
    assert len(track) == 2 * SECOND
    alike = np.corrcoef(track[LOOK_AHEAD:], voice[: len(track) - LOOK_AHEAD])[0, 1]
    assert alike > 0.9


def test_what_comes_too_late_is_counted_while_they_talk(scene: Scene) -> None:
    source = scene.capture.track.source
    before = counted("late_frames_total", source=source)
    packets = encoded(babble(2 * SECOND))
    scene.speaks(packets[:50])
    late = scene.sequence, scene.timestamp
    scene.sequence, scene.timestamp = late[0] + 1, late[1] + TICKS
    scene.speaks(packets[51:])
    scene.sequence, scene.timestamp = late
    scene.comes(packets[50])
    scene.capture.tick()
    assert counted("late_frames_total", source=source) == before + 1


def test_silence_is_as_long_as_it_was(scene: Scene) -> None:
    packets = encoded(babble(SECOND))
    scene.speaks(packets)
    scene.is_silent(3.0)
    scene.speaks(packets)
    scene.capture.halt()
    positions = [one.position for one in scene.listener.heard]
    assert positions[50] - positions[49] == pytest.approx(3 * SECOND + TICKS, abs=20)


def test_a_lost_packet_moves_no_other(scene: Scene) -> None:
    scene.speaks(encoded(babble(SECOND)), lost=(20, 21))
    scene.capture.halt()
    positions = [one.position for one in scene.listener.heard]
    assert np.diff(positions).tolist() == [TICKS] * 19 + [3 * TICKS] + [TICKS] * 27
    assert scene.capture.counts.lost == 2


def test_each_sound_arrives_before_it_is_heard_and_as_often(scene: Scene) -> None:
    scene.speaks(encoded(babble(SECOND)))
    assert len(scene.listener.arrived) >= len(scene.listener.heard)
    scene.capture.halt()
    assert len(scene.listener.arrived) == len(scene.listener.heard) == 50


def test_a_packet_that_is_no_opus_costs_itself(scene: Scene) -> None:
    packets = encoded(babble(SECOND))
    packets[10] = b"\xff\xff\xff"
    scene.speaks(packets)
    scene.capture.halt()
    assert scene.capture.damaged == 1
    assert len(scene.listener.heard) == 49


async def test_packets_that_were_of_no_use_are_told_at_the_end(scene: Scene) -> None:
    packets = encoded(babble(SECOND))
    packets[10] = b"\xff\xff\xff"
    scene.speaks(packets)
    with capture_logs() as logs:
        await scene.capture.close()
    told = [line for line in logs if line["event"] == "capture.unusable"]
    assert [(line["damaged"], line["garbage"]) for line in told] == [(1, 0)]


async def test_it_closes_its_listeners_once_and_takes_nothing_more(
    scene: Scene,
) -> None:
    packets = encoded(babble(SECOND))
    scene.speaks(packets[:25])
    await scene.capture.close()
    scene.speaks(packets[25:])
    await scene.capture.close()
    assert scene.listener.closed == 1
    assert len(scene.listener.heard) == 25


def test_what_is_late_only_in_being_read_is_waited_for() -> None:
    """Half a second of packets waits for its turn, in it the one that is missing."""
    scene = Scene()
    read_to = 0.0
    scene.capture = PacketCapture(
        a_track(),
        zero_s=490.0,
        sinks=[scene.listener],
        clock=scene.clock,
        read_to=lambda: read_to,
    )
    packets = encoded(babble(SECOND))
    scene.speaks(packets[:40], lost=(30,))
    read_to = scene.clock() - 0.5
    scene.clock.passes(0.5)
    scene.capture.tick()
    assert scene.capture.counts.lost == 0
    read_to = scene.clock()
    scene.capture.tick()
    assert scene.capture.counts.lost == 1
