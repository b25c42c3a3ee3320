from __future__ import annotations

from datetime import timedelta

from django.utils import timezone
from rooms import Bell, Room

from transcripts import doorbell, status, sweeper, utterances, workers
from transcripts.status import SpeechStatus


def is_well() -> None:
    status.report(SpeechStatus(state="ready", model="fake", worker="w"))


def test_it_rings_again_for_a_lost_bell(room: Room, bell: Bell) -> None:
    is_well()
    room.hears(room.joins("Alice"), "x")
    bell.rung.clear()
    swept = sweeper.sweep(now=timezone.now())
    assert (swept.pending, swept.rang) == (1, True)
    assert bell.count(doorbell.DRAIN) == 1


def test_it_does_not_ring_while_a_bell_is_unheard(room: Room, bell: Bell) -> None:
    is_well()
    room.hears(room.joins("Alice"), "x")
    bell.rung.clear()
    bell.unheard = 1
    assert not sweeper.sweep(now=timezone.now()).rang
    bell.unheard = None  # the broker is away
    assert not sweeper.sweep(now=timezone.now()).rang
    assert bell.rung == []


def test_it_does_nothing_when_all_is_well(room: Room, bell: Bell) -> None:
    is_well()
    swept = sweeper.sweep(now=timezone.now())
    assert swept == sweeper.Swept(0, 0, 0, rang=False, pulsed=False)
    assert bell.rung == []


def test_it_asks_a_silent_worker_for_a_sign(room: Room, bell: Bell) -> None:
    assert sweeper.sweep(now=timezone.now()).pulsed
    assert bell.rung == [(doorbell.PULSE, (), "stt")]


def test_it_frees_what_the_late_and_the_dead_hold(room: Room, bell: Bell) -> None:
    is_well()
    alice = room.joins("Alice")
    for _ in range(3):
        room.hears(alice, "x")
    now = timezone.now()
    long_ago = now - timedelta(hours=1)
    utterances.claim(f"{workers.host()}:999999999:5")
    utterances.claim("elsewhere:1:1", now=long_ago)
    utterances.claim("elsewhere:2:2")
    swept = sweeper.sweep(now=now)
    assert (swept.dead, swept.expired, swept.pending) == (1, 1, 2)
    assert swept.rang


# --- the status it looks at ---


def test_no_report_means_that_nobody_works(live_cache: None) -> None:
    told = status.read()
    assert told.state == "waiting"
    assert "worker" in told.message


def test_a_report_grows_old(live_cache: None) -> None:
    status.report(SpeechStatus(state="ready", model="m", demo=True), now=1000.0)
    assert status.read(now=1089.0).state == "ready"
    late = status.read(now=1091.0)
    assert (late.state, late.model, late.demo) == ("waiting", "m", True)


def test_one_ready_worker_outweighs_one_that_loads(live_cache: None) -> None:
    status.report(SpeechStatus(state="ready", worker="a"), now=1000.0)
    status.report(SpeechStatus(state="loading", worker="b"), now=1001.0)
    assert status.read(now=1002.0).state == "ready"
    status.report(SpeechStatus(state="missing", worker="a"), now=1003.0)
    assert status.read(now=1004.0).state == "missing"


def test_it_is_shown_without_names_of_machines(live_cache: None) -> None:
    told = SpeechStatus(state="ready", model="m", demo=True, worker="host:1:2")
    assert told.to_json(behind_s=1.26) == {
        "state": "ready",
        "demo": True,
        "model": "m",
        "behind_s": 1.3,
        "message": "",
    }
