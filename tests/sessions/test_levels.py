"""Levels: what is loud moves a meter, and nothing is told while nobody looks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scene import a_track, eventually

from sessions import flashes
from sessions.audio.frames import Placed
from sessions.capture import levels
from sessions.capture.levels import FLOOR_DBFS, Meters, dbfs
from sessions.capture.sinks import Track
from sessions.readers import EVERYBODY


class Wall:
    """What is shown to people, and who looks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[tuple[int, dict[str, int]]] = []
        self.looking: Counter[int] = Counter()
        monkeypatch.setattr(flashes, "show", self._show)
        monkeypatch.setattr(levels.counting, "counts", lambda: self.looking)
        monkeypatch.setattr(levels, "TELL_S", 0.01)

    def _show(
        self,
        session_id: int,
        key: str,
        type_: str,
        data: dict[str, dict[str, int]],
        *,
        rings: bool,
    ) -> None:
        assert not rings
        self.shown.append((session_id, data["levels"]))


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    return Wall(monkeypatch)


def tone(peak: float) -> Placed:
    t = np.arange(4800) / 48_000
    wave = peak * 32767 * np.sin(2 * np.pi * 1000 * t)
    return Placed(0, wave.astype(np.int16), 48_000)


def level_of(wall: Wall, track: Track) -> int:
    return wall.shown[-1][1][str(track.participant_public_id)] if wall.shown else -99


@pytest.mark.parametrize(
    ("mean_square", "level"),
    [(32768.0**2, 0), (32768.0**2 / 100, -20), (1.0, FLOOR_DBFS), (0.0, FLOOR_DBFS)],
)
def test_it_counts_from_full_scale_down(mean_square: float, level: int) -> None:
    assert dbfs(mean_square) == level


@pytest.mark.parametrize("who", ["reader", "dashboard"])
async def test_a_voice_moves_the_meter_and_silence_brings_it_down(
    wall: Wall, who: str
) -> None:
    track, meters = a_track(), Meters()
    wall.looking[track.session_id if who == "reader" else EVERYBODY] = 1
    sink = meters.open(track)
    await eventually(lambda: meters.is_watched(track.session_id))
    sink.hear(tone(0.5))
    await eventually(lambda: level_of(wall, track) == -9)
    await eventually(lambda: level_of(wall, track) == FLOOR_DBFS)
    await sink.close()
    assert meters._teller
    await meters._teller


async def test_nobody_looks_and_nothing_is_computed(wall: Wall) -> None:
    track, meters = a_track(), Meters()
    sink = meters.open(track)
    sink.hear(tone(0.5))
    assert sink.take() == FLOOR_DBFS
    await sink.close()
    assert meters._teller
    await meters._teller
    assert wall.shown == []
