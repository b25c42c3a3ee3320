"""Some minutes of people over a bad network: bench/sync.py in short."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from onsets import DECODERS
from rtp_sender import Person, Road, measure, stalls
from sync_road import (
    Speaker,
    a_voice,
    browse,
    in_fragments,
    in_master,
    in_tracks,
    master,
    record,
)

SECONDS = 600.0
ROAD = Road(stalls=stalls(SECONDS, per_min=6, seed=5), down=((300.0, 304.0),))
PEOPLE = [
    Person("runs on", 100, 0.5, SECONDS, seed=11),
    Person("rejoins", -100, 61.0, SECONDS, anew_s=(180.0, 426.0), seed=14),
    Person("stops", 100, 2.0, SECONDS, stops=True, seed=15),
    Person("open mic", 100, 0.9, SECONDS, open_mic=True, seed=17),
]
SHORT = 60.0
SHORT_ROAD = Road(stalls=stalls(SHORT, per_min=6, seed=5), down=((28.0, 31.0),))
CALM = Road(0.0, jitter_s=0.0, loss=0.0, bursts_per_min=0.0, duplicates=0.0)

decoders = pytest.mark.parametrize("decoder", DECODERS)


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_every_word_stands_where_it_was_spoken(person: Person) -> None:
    """Even of a bot whose stalling loop stamps what it reads."""
    verdict = measure(person, replace(ROAD, reader=False))
    assert verdict.onsets > 25
    assert verdict.worst_onset_ms < 20
    assert verdict.worst_packet_ms < 20
    assert abs(verdict.drift_ms) < 5
    assert (verdict.cuts, verdict.inserted) == (0, 0)
    assert (verdict.unplaced, verdict.overlaps) == (0, 0)


def test_what_comes_without_faults_keeps_every_sample() -> None:
    verdict = measure(Person("calm", 0, 0.5, SECONDS, seed=3), CALM)
    assert verdict.corrections == verdict.cuts == verdict.inserted == 0
    assert verdict.worst_packet_ms == pytest.approx(0.0, abs=0.1)


@dataclass
class Session:
    """Who spoke, and the master of it."""

    speakers: list[Speaker]
    master: Path
    end: int


def mixed(speakers: list[Speaker], path: Path) -> Session:
    return Session(speakers, path, master(speakers, path))


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Three people, a bad network, and a bot that restarts."""
    folder = tmp_path_factory.mktemp("bad")
    people = [
        Person("rejoins", -100, 1.3, SHORT, anew_s=(45.0,), seed=14),
        Person("stops", 100, 0.5, SHORT, stops=True, seed=15),
        Person("open mic", 100, 5.0, SHORT, open_mic=True, seed=17),
    ]
    speakers = [
        record(
            person,
            a_voice(person.seed, utterances=4, room=person.open_mic),
            SHORT_ROAD,
            folder / person.name,
            chunk_s=10,
        )
        for person in people
    ]
    return mixed(speakers, folder / "master")


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Two browsers behind jitter, and RTP without; the loop stalls for all."""
    folder = tmp_path_factory.mktemp("exact")
    late = Road(delay_s=0.0, stalls=stalls(40, per_min=6, seed=6))
    browser = Person("browser", 0, 2.0, 40, open_mic=True, seed=23)
    narrow = replace(browser, name="16 kHz", joins_s=3.0, seed=25)
    voice = a_voice(3, utterances=4)
    speakers = [
        browse(browser, voice, late, folder / "browser", chunk_s=10),
        browse(narrow, voice, late, folder / "narrow", rate=16_000, chunk_s=10),
        record(
            Person("RTP", 0, 7.0, 40, seed=22),
            a_voice(22, utterances=4),
            replace(CALM, stalls=late.stalls),
            folder / "client",
            chunk_s=10,
        ),
    ]
    return mixed(speakers, folder / "master")


@decoders
def test_every_onset_is_heard_where_it_was_spoken(bad: Session, decoder: str) -> None:
    decode = DECODERS[decoder]
    figures = [
        where(speaker, decode, stride=1)
        for speaker in bad.speakers
        for where in (in_tracks, in_fragments)
    ]
    figures.append(in_master(bad.speakers, bad.master, bad.end, decode, stride=1))
    assert [len(speaker.connections) for speaker in bad.speakers] == [2, 2, 2]
    for found in figures:
        assert found.onsets > 5
        assert (found.missing, found.moved, found.wrong_lengths) == (0, 0, 0)
        assert found.worst_onset_ms < 20
        assert found.worst_ms < 20


def test_nothing_is_cut_within_a_word(bad: Session) -> None:
    for speaker in bad.speakers:
        assert speaker.verdict is not None
        assert (speaker.verdict.cuts, speaker.verdict.inserted) == (0, 0)


@decoders
def test_without_loss_every_sample_is_in_its_place(
    exact: Session, decoder: str
) -> None:
    decode = DECODERS[decoder]
    for speaker in exact.speakers:
        for where in (in_tracks, in_fragments):
            found = where(speaker, decode, stride=1)
            assert found.pieces > 10
            assert (found.missing, found.most_moved, found.wrong_lengths) == (0, 0, 0)
            assert found.spread == 0
    whole = in_master(exact.speakers, exact.master, exact.end, decode, stride=1)
    assert (whole.missing, whole.most_moved, whole.wrong_lengths) == (0, 0, 0)
