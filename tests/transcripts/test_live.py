"""A room of tracks: what is said becomes rows, whatever fails beside it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from django.db import OperationalError
from pytest_django.fixtures import Settings
from scene import a_session, a_track, eventually
from speech import voices

from sessions.audio.frames import Placed
from sessions.capture.sinks import Track
from transcripts import live, scribe, status, vad
from transcripts.live import Room
from transcripts.partials import PartialRequest
from transcripts.status import SpeechStatus
from transcripts.utterances import Spoken
from transcripts.vad import Floats, VadChoice, VadState

pytestmark = pytest.mark.django_db(transaction=True)

RATE = 16_000


class Loudness:
    """A detector for tests: loud is speech. `breaks_on` a sample of this value."""

    def __init__(self) -> None:
        self.breaks_on = 0.0
        self.largest = 0

    def __call__(self, windows: Floats, states: list[VadState]) -> Floats:
        self.largest = max(self.largest, len(states))
        if self.breaks_on and np.any(windows == np.float32(self.breaks_on)):
            raise RuntimeError("this window is poison")
        return np.where(np.abs(windows).max(axis=1) > 0.1, 0.9, 0.0).astype(np.float32)


@pytest.fixture
def detector() -> Loudness:
    return Loudness()


@pytest.fixture
def room(detector: Loudness) -> Room:
    return Room(lambda: VadChoice(detector))


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[Spoken]:
    """What would become rows."""
    kept: list[Spoken] = []
    monkeypatch.setattr(scribe.utterances, "record", kept.append)
    return kept


@pytest.fixture
def offers(monkeypatch: pytest.MonkeyPatch) -> list[PartialRequest]:
    asked: list[PartialRequest] = []
    monkeypatch.setattr(scribe.partials, "offer", asked.append)
    return asked


@pytest.fixture
def track() -> Track:
    return a_track(a_session())


def tone(seconds: float) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return (16_000 * np.sin(2 * np.pi * 300 * t)).astype(np.int16)


def quiet(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.int16)


async def test_what_is_said_becomes_a_row(
    room: Room, rows: list[Spoken], track: Track
) -> None:
    hearing = room.open(track)
    sound = np.concatenate([quiet(1), tone(1), quiet(1)])
    for at in range(0, len(sound), 320):
        hearing.hear(Placed(at * 3, sound[at : at + 320], RATE))
    await eventually(lambda: rows)
    assert abs(rows[0].start - 48_000) <= 32 * 48
    assert abs(rows[0].end - 96_000) <= 64 * 48
    await eventually(lambda: hearing.settled() > rows[0].end)
    await hearing.close()
    assert len(rows) == 1


async def test_who_watches_is_told_when_somebody_begins_and_stops(
    room: Room, rows: list[Spoken], track: Track
) -> None:
    told: list[float] = []

    def broken(_: float) -> None:
        raise RuntimeError("a watcher's fault")

    other = a_track(participant=2)
    room.watch(track.participant_id, told.append)
    room.watch(other.participant_id, broken)
    hearings = [room.open(track), room.open(other)]
    for hearing in hearings:
        hearing.hear(Placed(0, np.concatenate([quiet(1), tone(1)]), RATE))
    await eventually(lambda: told)
    assert told[-1] > 0
    for hearing in hearings:
        hearing.hear(Placed(96_000, quiet(1), RATE))
    await eventually(lambda: told[-1] == 0)
    room.unwatch(track.participant_id)
    count = len(told)
    for hearing in hearings:
        hearing.hear(Placed(144_000, tone(1), RATE))
        await hearing.close()
    assert len(told) == count
    assert len(rows) == 4


async def test_closing_waits_until_the_last_words_are_a_row(
    room: Room, rows: list[Spoken], track: Track
) -> None:
    hearing = room.open(track)
    hearing.hear(Placed(0, tone(0.8), RATE))
    await hearing.close()
    assert len(rows) == 1


async def test_a_database_that_is_away_for_a_while_costs_no_line(
    room: Room, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Spoken] = []
    tries = iter([OperationalError, OperationalError, OperationalError])

    def record(spoken: Spoken) -> None:
        for error in tries:
            raise error("database is locked")
        kept.append(spoken)

    monkeypatch.setattr(scribe, "RETRY_S", (0.05,))
    monkeypatch.setattr(scribe.utterances, "record", record)
    hearing = room.open(track)
    hearing.hear(Placed(0, np.concatenate([tone(0.8), quiet(1)]), RATE))
    await eventually(lambda: hearing.on_their_way)
    assert hearing.settled() == 0  # not safe before it is a row
    await hearing.close()
    assert len(kept) == 1


@pytest.mark.parametrize("full", [False, True], ids=["", "and the disk full"])
async def test_a_database_that_is_away_for_long_costs_no_line_and_no_watcher(
    full: bool, room: Room, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Spoken] = []
    told: list[float] = []
    is_back = asyncio.Event()

    def record(spoken: Spoken) -> None:
        if not is_back.is_set():
            raise OperationalError("the server has gone away")
        kept.append(spoken)

    monkeypatch.setattr(scribe, "RETRY_S", (0.05,))
    monkeypatch.setattr(scribe.utterances, "record", record)
    monkeypatch.setattr(live, "CUTS_HELD", 3)
    if full:
        monkeypatch.setattr("transcripts.shelf.SPARE_BYTES", 1 << 60)
    hearing = room.open(track)
    phrase = np.concatenate([tone(0.5), quiet(1.5)])
    for number in range(30):
        hearing.hear(Placed(number * len(phrase) * 3, phrase, RATE))
    await eventually(lambda: len(hearing.on_their_way) == 30)
    assert bool(room._shelf) is not full
    room.watch(track.participant_id, told.append)
    hearing.hear(Placed(30 * len(phrase) * 3, tone(1), RATE))
    await eventually(lambda: told and told[-1] > 0)
    assert not kept
    is_back.set()
    await hearing.close()
    assert [round(one.start / 96_000) for one in kept] == list(range(31))
    assert all(0.5 <= len(one.audio) / (2 * RATE) < 1.5 for one in kept[:30])
    assert all(np.frombuffer(one.audio, np.int16).max() > 15_000 for one in kept)
    assert not room._shelf


async def test_one_bad_track_does_not_cost_the_others_their_words(
    room: Room, rows: list[Spoken], detector: Loudness
) -> None:
    session = a_session
    one = await asyncio.to_thread(session)
    good, bad = a_track(one, participant=1), a_track(one, participant=2)
    detector.breaks_on = 12_345 / 32_768
    poison = tone(1)
    poison[8000] = 12_345
    hearings = [room.open(good), room.open(bad)]
    hearings[0].hear(Placed(0, tone(1), RATE))
    hearings[1].hear(Placed(0, poison, RATE))
    await asyncio.gather(*(hearing.close() for hearing in hearings))
    assert [row.participant_id for row in rows].count(1) == 1


async def test_many_tracks_share_calls(
    room: Room, rows: list[Spoken], detector: Loudness
) -> None:
    one = await asyncio.to_thread(a_session)
    hearings = [room.open(a_track(one, participant=n)) for n in range(100)]
    for hearing in hearings:
        hearing.hear(Placed(0, np.concatenate([tone(0.5), quiet(1)]), RATE))
    await asyncio.gather(*(hearing.close() for hearing in hearings))
    assert sorted(row.participant_id for row in rows) == list(range(100))
    assert detector.largest == vad.BATCH


async def test_sound_that_stops_coming_ends_the_utterance(
    room: Room, rows: list[Spoken], track: Track, settings: Settings
) -> None:
    hearing = room.open(track)
    hearing.hear(Placed(0, tone(0.6), RATE))
    await eventually(lambda: rows, within_s=5)
    await hearing.close()
    assert len(rows) == 1


async def speaks_three_seconds(room: Room, track: Track) -> None:
    hearing = room.open(track)
    began = asyncio.get_running_loop().time()
    for at in range(150):
        hearing.hear(Placed(at * 960, tone(0.02), RATE))
        due = began + (at + 1) * 0.02
        await asyncio.sleep(max(due - asyncio.get_running_loop().time(), 0))
    await hearing.close()


async def test_provisional_text_is_asked_for_once_a_second_at_most(
    room: Room, rows: list[Spoken], offers: list[PartialRequest], track: Track
) -> None:
    status.report(SpeechStatus(state="ready", worker="w"))
    await speaks_three_seconds(room, track)
    assert 1 <= len(offers) <= 3
    assert [offer.rev for offer in offers] == sorted({offer.rev for offer in offers})
    assert {offer.utterance_id for offer in offers} == {rows[0].public_id}


async def test_provisional_text_is_not_asked_for_where_no_worker_has_a_model(
    room: Room, rows: list[Spoken], offers: list[PartialRequest], track: Track
) -> None:
    status.report(SpeechStatus(state="loading", worker="w"))
    await speaks_three_seconds(room, track)
    assert rows
    assert not offers


async def test_a_track_that_rests_is_heard_when_it_goes_on(
    room: Room, rows: list[Spoken], track: Track
) -> None:
    hearing = room.open(track)
    hearing.hear(Placed(0, np.concatenate([tone(0.6), quiet(1)]), RATE))
    await eventually(lambda: len(rows) == 1)
    await eventually(lambda: not hearing.is_due)
    hearing.hear(Placed(480_000, np.concatenate([tone(0.6), quiet(1)]), RATE))
    await eventually(lambda: len(rows) == 2)
    await hearing.close()


async def test_real_detection_finds_real_speech(
    rows: list[Spoken], track: Track
) -> None:
    room = Room(vad.state)
    hearing = room.open(track)
    phrases = ["please open the project", "send a message today"]
    spoken = voices.speak_phrases(phrases, pause_s=1.2)
    hearing.hear(Placed(48_000, np.concatenate([quiet(0.5), spoken]), RATE))
    await hearing.close()
    assert len(rows) == 2
    assert abs(rows[0].start - 72_000) <= 80 * 48
