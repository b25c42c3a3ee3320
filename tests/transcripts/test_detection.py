"""Sound that waited is taken in together, and judged as if it had not."""

from __future__ import annotations

import errno
from typing import Any, cast

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray
from scene import a_track

from sessions.audio.frames import Placed
from transcripts.detection import STEP_BUDGET_S, Detection, new_ear
from transcripts.hearing import HELD_S, Hearing
from transcripts.shelf import Shelf
from transcripts.vad import Floats, VadChoice, VadState

PACKET = 960
ZERO = 48_000


class Notes:
    """A detector that hears no speech, and notes what it was asked."""

    def __init__(self) -> None:
        self.windows: list[Floats] = []

    def __call__(self, windows: Floats, states: list[VadState]) -> Floats:
        self.windows += list(windows)
        return np.zeros(len(windows), np.float32)


def tone(samples: int) -> NDArray[np.int16]:
    found = 8000 * np.sin(np.arange(samples) * 0.05)
    return found.astype(np.int16)


def judged(packets: list[Placed], *, at_once: bool) -> NDArray[np.float32]:
    """What the detector is given of them, which come together or one by one."""
    notes = Notes()
    detection = Detection(lambda: VadChoice(cast("Any", notes)), clock=lambda: 0.0)
    hearing = Hearing(cast("Any", None), new_ear(), wake=lambda: None)
    for packet in packets:
        hearing.hear(packet)
        if not at_once:
            detection.step([hearing], 0.0)
    while detection.step([hearing], 0.0)[1]:
        pass
    return np.concatenate(notes.windows)


def packets(sound: NDArray[np.int16], at: int = ZERO) -> list[Placed]:
    return [
        Placed(at + first, sound[first : first + PACKET], 48_000)
        for first in range(0, len(sound), PACKET)
    ]


@pytest.fixture
def resamplings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much was resampled each time."""
    found: list[int] = []

    class Counted:
        def __init__(self, *how: Any, **more: Any) -> None:
            self._stream = soxr.ResampleStream(*how, **more)

        def resample_chunk(self, pcm: Any, **how: Any) -> Any:
            found.append(len(pcm))
            return self._stream.resample_chunk(pcm, **how)

    monkeypatch.setattr(
        "transcripts.ear.soxr", type("soxr", (), {"ResampleStream": Counted})
    )
    return found


@pytest.mark.parametrize("gap", [0, 3 * PACKET], ids=["on end", "with a hole"])
def test_together_it_sounds_as_packet_by_packet(
    gap: int, resamplings: list[int]
) -> None:
    sound = tone(200 * PACKET)
    early = packets(sound[: 60 * PACKET])
    late = packets(sound[60 * PACKET :], ZERO + 60 * PACKET + gap)
    alone = judged(early + late, at_once=False)
    each = len(resamplings)
    together = judged(early + late, at_once=True)
    assert len(together) == len(alone)
    assert np.abs(together - alone).max() < 1e-3
    assert each >= 200
    assert len(resamplings) - each <= 8


class Slow(Notes):
    """A machine that judges a window of each track in a step, and no more."""

    now = 0.0

    def __call__(self, windows: Floats, states: list[VadState]) -> Floats:
        self.now += STEP_BUDGET_S
        return super().__call__(windows, states)


@pytest.mark.parametrize("full", [False, True], ids=["", "on a full disk"])
def test_where_more_is_said_than_is_heard_memory_stays_and_nothing_is_missing(
    full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if full:
        monkeypatch.setattr(Shelf, "put", no_room)
    slow = Slow()
    detection = Detection(lambda: VadChoice(cast("Any", slow)), clock=lambda: slow.now)
    hearing = Hearing(cast("Any", None), new_ear(), wake=lambda: None)
    sound, held, behind = packets(tone(2_000 * PACKET)), [], []
    for at in range(0, len(sound), 10):
        for packet in sound[at : at + 10]:
            hearing.hear(packet)
        assert detection.step([hearing], 0.0)[1]
        held.append(sum(len(one.pcm) for one in hearing._inbox) / 48_000)
        behind.append(hearing.behind_s)
    assert behind[-1] == pytest.approx(40 - 200 * 512 / 16_000, abs=0.1)
    if full:
        assert max(held) > 2 * HELD_S
        monkeypatch.undo()
    else:
        assert max(held) <= HELD_S
    hearing.ending = True
    while detection.step([hearing], 0.0)[1]:
        pass
    assert hearing.ear.closed
    assert not hearing.waits
    alone = judged(packets(tone(2_000 * PACKET)), at_once=True)
    found = np.concatenate(slow.windows)[: len(alone)]
    assert np.abs(found - alone).max() < 1e-3


def no_room(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "no space left")


def test_what_waits_on_the_disk_is_lost_alone_if_it_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notes = Notes()
    detection = Detection(lambda: VadChoice(cast("Any", notes)), clock=lambda: 0.0)
    hearing = Hearing(a_track(), new_ear(), wake=lambda: None)
    for packet in packets(tone(1_000 * PACKET)):
        hearing.hear(packet)
    hearing.put_by()
    hearing.rests = True
    assert hearing.is_due
    with monkeypatch.context() as patch:
        patch.setattr("os.pread", no_room)
        detection.step([hearing], 0.0)
    assert hearing.faults == 1
    assert not hearing.waits
    assert hearing.behind_s == 0
    hearing.hear(Placed(2_000 * PACKET, tone(100 * PACKET), 48_000))
    detection.step([hearing], 0.0)
    assert len(notes.windows) == 100 * PACKET // 3 // 512
