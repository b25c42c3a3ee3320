"""Ten minutes of four people over a bad network: bench/sync.py in short."""

from __future__ import annotations

import pytest
from rtp_sender import Person, Road, measure, stalls

SECONDS = 600.0
ROAD = Road(stalls=stalls(SECONDS, per_min=6, seed=5), down=((300.0, 304.0),))
PEOPLE = [
    Person("runs on", 100, 0.5, SECONDS, seed=11),
    Person("rejoins", -100, 61.0, SECONDS, anew_s=(180.0, 426.0), seed=14),
    Person("stops", 100, 2.0, SECONDS, stops=True, seed=15),
    Person("open mic", 100, 0.9, SECONDS, open_mic=True, seed=17),
]


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
def test_every_word_stands_where_it_was_spoken(person: Person) -> None:
    verdict = measure(person, ROAD)
    assert verdict.onsets > 25
    assert verdict.worst_onset_ms < 20
    assert verdict.worst_packet_ms < 20
    assert abs(verdict.drift_ms) < 5
    assert (verdict.cuts, verdict.inserted) == (0, 0)
    assert (verdict.unplaced, verdict.overlaps) == (0, 0)


def test_what_comes_without_faults_keeps_every_sample() -> None:
    road = Road(jitter_s=0.0, loss=0.0, bursts_per_min=0.0, duplicates=0.0)
    verdict = measure(Person("calm", 0, 0.5, SECONDS, seed=3), road)
    assert verdict.corrections == verdict.cuts == verdict.inserted == 0
    assert verdict.worst_packet_ms == pytest.approx(5.0, abs=0.1)  # the network's own
