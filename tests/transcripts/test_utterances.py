from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone
from fake_engine import FakeEngine
from pytest_django.fixtures import Settings
from rooms import Bell, Room, spoken_by

from sessions import finish, hosts
from sessions.models import State, VoiceSession
from transcripts import backfill, claims, doorbell, tasks, utterances, workers
from transcripts.claims import Claim
from transcripts.models import Utterance, UtteranceState
from transcripts.recognised import Recognised, Word

WORKER = "host:1:2"


def claim() -> Claim:
    taken = utterances.claim(WORKER)
    assert taken is not None
    return taken


def said(text: str = "hello team") -> Recognised:
    words = (Word("hello", 0.5, 0.9, 0.97), Word("team", 0.9, 1.25, 0.91))
    return Recognised(text, words, "en", 0.99, 0.94, 0.01)


def state_of(row: Utterance) -> str:
    row.refresh_from_db()
    return row.state


# --- recording ---


def test_it_keeps_the_sound_and_rings(room: Room, bell: Bell) -> None:
    row = room.hears(room.joins("Alice"), "hello")
    assert bytes(row.audio or b"").startswith(b"hello")
    assert row.state == UtteranceState.PENDING
    assert bell.rung == [(doorbell.DRAIN, (), "stt")]


def test_it_records_the_same_utterance_once(room: Room, bell: Bell) -> None:
    spoken = spoken_by(room.joins("Alice"), "hello")
    utterances.record(spoken)
    utterances.record(spoken)
    assert Utterance.objects.count() == 1
    assert bell.count(doorbell.DRAIN) == 1


def test_it_keeps_the_row_when_the_broker_is_down(
    transactional_db: None, live_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(hosts, "async_task", refuse)
    room = Room()
    assert state_of(room.hears(room.joins("Alice"), "hello")) == "pending"


def test_it_refuses_an_utterance_that_ends_before_its_start(room: Room) -> None:
    spoken = spoken_by(room.joins("Alice"), "hello")
    with pytest.raises(IntegrityError):
        utterances.record(replace(spoken, end=spoken.start - 1))


# --- claiming ---


def test_it_gives_a_worker_all_it_needs(room: Room) -> None:
    alice = room.joins("Alice")
    row = room.hears(alice, "hello", at_ms=2000)
    taken = claim()
    assert taken.public_id == row.public_id
    assert (taken.name, taken.participant_public_id) == ("Alice", alice.public_id)
    assert (taken.start_ms, taken.end_ms, taken.audio_start_ms) == (2000, 3000, 1600)
    assert taken.audio.startswith(b"hello")
    assert taken.token.startswith(f"{WORKER}:")


def test_it_counts_the_attempt_before_the_work(room: Room) -> None:
    row = room.hears(room.joins("Alice"), "hello")
    claim()
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("claimed", 1)


def test_it_gives_an_utterance_to_one_worker_only(room: Room) -> None:
    room.hears(room.joins("Alice"), "hello")
    assert utterances.claim("a:1:1") is not None
    assert utterances.claim("b:1:1") is None


def test_it_takes_the_next_one_when_another_worker_was_faster(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = room.joins("Alice")
    first, second = room.hears(alice, "one"), room.hears(alice, "two")
    look = claims._in_turn

    def look_then_lose(now: object) -> list[int]:
        found = look(timezone.now())
        Utterance.objects.filter(pk=first.pk).update(state=UtteranceState.DONE)
        return found

    monkeypatch.setattr(claims, "_in_turn", look_then_lose)
    assert claim().utterance_id == second.pk


def test_it_takes_the_oldest_first(room: Room) -> None:
    people = [room.joins(name) for name in ("Alice", "Bob", "Carol")]
    rows = [room.hears(who, who.name) for who in people]
    assert [claim().utterance_id for _ in rows] == [row.pk for row in rows]


def test_it_lets_a_newcomer_in_before_a_backlog(room: Room) -> None:
    alice, bob = room.joins("Alice"), room.joins("Bob")
    for number in range(6):
        room.hears(alice, f"a{number}")
    for _ in range(3):
        utterances.complete(claim(), said())
    bobs = room.hears(bob, "b")
    assert claim().utterance_id == bobs.pk


@pytest.mark.parametrize("seed", range(12))
def test_everybodys_first_turn_goes_before_anybodys_second(
    room: Room, seed: int
) -> None:
    """However many workers are at it, and in whatever order they finish."""
    chance = random.Random(seed)
    people = [room.joins(f"P{number}") for number in range(chance.randint(2, 4))]
    due: dict[int, list[int]] = {who.pk: [] for who in people}
    for _ in range(chance.randint(4, 16)):
        who = chance.choice(people)
        due[who.pk].append(room.hears(who, "x").pk)
    total = sum(len(turns) for turns in due.values())
    wanted = sorted((turns.index(pk), pk) for turns in due.values() for pk in turns)
    served: list[int] = []
    at_work: list[Claim] = []
    while len(served) < total:
        taken = utterances.claim(WORKER)
        if taken is not None:
            served.append(taken.utterance_id)
            at_work.append(taken)
        if at_work and (taken is None or chance.random() < 0.6):
            done = at_work.pop(chance.randrange(len(at_work)))
            assert utterances.complete(done, said())
    assert served == [pk for _, pk in wanted]


def test_it_knows_which_language_to_listen_for(room: Room, settings: Settings) -> None:
    alice = room.joins("Alice")
    room.hears(alice, "one")
    assert claim().language == ""
    type(alice).objects.filter(pk=alice.pk).update(language="fr")
    room.hears(alice, "two")
    assert claim().language == "fr"
    VoiceSession.objects.filter(pk=room.session.pk).update(language="de")
    room.hears(alice, "three")
    assert claim().language == "de"
    settings.STT_LANGUAGE = "en"
    room.hears(alice, "four")
    assert claim().language == "en"


# --- completing ---


def test_it_tells_the_text_on_the_sessions_timeline(room: Room) -> None:
    alice = room.joins("Alice")
    row = room.hears(alice, "x", at_ms=1000)
    assert utterances.complete(claim(), said())
    assert room.told("utterance") == [
        {
            "id": str(row.public_id),
            "participant": str(alice.public_id),
            "name": "Alice",
            "start_ms": 1000,
            "end_ms": 2000,
            "text": "hello team",
            "words": [
                {
                    "word": "hello",
                    "start_ms": 1100,
                    "end_ms": 1500,
                    "probability": 0.97,
                },
                {"word": "team", "start_ms": 1500, "end_ms": 1850, "probability": 0.91},
            ],
            "language": "en",
            "confidence": 0.94,
        }
    ]


def test_the_sound_leaves_the_row_when_the_text_is_in(room: Room) -> None:
    row = room.hears(room.joins("Alice"), "x")
    utterances.complete(claim(), said())
    row.refresh_from_db()
    assert (row.state, row.text, row.audio) == ("done", "hello team", None)
    assert (row.claimed_by, row.lease_until) == ("", None)


def test_it_says_nothing_when_nobody_spoke_words(room: Room) -> None:
    row = room.hears(room.joins("Alice"), "x")
    assert utterances.complete(claim(), Recognised(language="en"))
    row.refresh_from_db()
    assert (row.state, row.audio) == ("empty", None)
    assert room.told("utterance") == []


def test_a_worker_that_lost_its_claim_changes_nothing(room: Room) -> None:
    row = room.hears(room.joins("Alice"), "x")
    late = claim()
    utterances.release_expired(now=timezone.now() + timedelta(hours=1))
    on_time = claim()
    assert not utterances.complete(late, said("from the late one"))
    utterances.give_back(late, error="Late")
    utterances.postpone(late)
    assert state_of(row) == "claimed"
    assert utterances.complete(on_time, said("once"))
    assert not utterances.complete(on_time, said("twice"))
    assert [event["text"] for event in room.told("utterance")] == ["once"]


def test_it_survives_a_session_deleted_in_mid_work(room: Room) -> None:
    room.hears(room.joins("Alice"), "x")
    taken = claim()
    VoiceSession.objects.all().delete()
    assert not utterances.complete(taken, said())


@pytest.mark.parametrize(("certainty", "pinned"), [(0.95, "en"), (0.4, "")])
def test_it_pins_a_language_it_is_sure_of(
    room: Room, certainty: float, pinned: str
) -> None:
    alice = room.joins("Alice")
    room.hears(alice, "x")
    utterances.complete(claim(), replace(said(), language_probability=certainty))
    alice.refresh_from_db()
    assert alice.language == pinned


def test_it_never_pins_what_was_given_or_changes_a_pin(room: Room) -> None:
    VoiceSession.objects.filter(pk=room.session.pk).update(language="de")
    alice = room.joins("Alice")
    room.hears(alice, "x")
    utterances.complete(claim(), replace(said(), language="de"))
    alice.refresh_from_db()
    assert alice.language == ""


# --- failing ---


def test_a_failed_row_rests_while_others_are_served(room: Room) -> None:
    alice = room.joins("Alice")
    bad, good = room.hears(alice, "bad"), room.hears(alice, "good")
    now = timezone.now()
    for _ in range(2):
        taken = utterances.claim(WORKER, now=now)
        assert taken is not None
        assert taken.utterance_id == bad.pk
        utterances.give_back(taken, error="RuntimeError", now=now)
    second = utterances.claim(WORKER, now=now)
    assert second is not None
    assert second.utterance_id == good.pk
    assert utterances.claim(WORKER, now=now) is None
    later = utterances.claim(WORKER, now=now + timedelta(seconds=3))
    assert later is not None
    assert later.utterance_id == bad.pk


def test_it_gives_up_on_a_poisonous_row_and_keeps_its_sound(
    room: Room, settings: Settings
) -> None:
    settings.STT_MAX_ATTEMPTS = 3
    row = room.hears(room.joins("Alice"), "poison")
    now = timezone.now()
    for _ in range(3):
        now += timedelta(minutes=1)
        taken = utterances.claim(WORKER, now=now)
        assert taken is not None
        utterances.give_back(taken, error="RuntimeError", now=now)
    row.refresh_from_db()
    assert (row.state, row.error) == ("failed", "RuntimeError")
    assert row.audio is not None
    assert utterances.claim(WORKER, now=now + timedelta(hours=1)) is None
    (notice,) = room.told("notice")
    assert notice["code"] == "utterance_failed"
    assert "poison" not in str(notice)


def test_it_does_not_count_an_attempt_without_a_model(room: Room) -> None:
    row = room.hears(room.joins("Alice"), "x")
    utterances.postpone(claim())
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("pending", 0)


def test_a_row_that_kills_its_workers_is_given_up(
    room: Room, settings: Settings, bell: Bell
) -> None:
    settings.STT_MAX_ATTEMPTS = 2
    row = room.hears(room.joins("Alice"), "x")
    for hours in (1, 2):
        now = timezone.now() + timedelta(hours=hours)
        assert utterances.claim(WORKER, now=now) is not None
        assert utterances.release_expired(now=now + timedelta(minutes=10)) == 1
    row.refresh_from_db()
    assert (row.state, row.error) == ("failed", "lease_expired")


def test_a_given_up_row_can_be_tried_again(room: Room, bell: Bell) -> None:
    row = room.hears(room.joins("Alice"), "x")
    Utterance.objects.filter(pk=row.pk).update(state=UtteranceState.FAILED, attempts=5)
    before = bell.count(doorbell.DRAIN)
    assert utterances.retry_failed([row.pk]) == 1
    assert bell.count(doorbell.DRAIN) == before + 1
    assert claim().attempt == 1


# --- leases and the dead ---


def test_a_lease_that_holds_is_left_alone(room: Room) -> None:
    room.hears(room.joins("Alice"), "x")
    claim()
    assert utterances.release_expired() == 0


def test_it_takes_claims_back_from_dead_workers_of_this_host(room: Room) -> None:
    alice = room.joins("Alice")
    rows = [room.hears(alice, str(number)) for number in range(4)]
    host, pid = workers.host(), workers.identity().split(":")[1]
    for worker in (
        workers.identity(),  # this process: it lives
        f"{host}:{pid}:1",  # its id was used again
        f"{host}:999999999:5",  # there is no such process
        "elsewhere:999999999:5",  # nobody here can know
    ):
        assert utterances.claim(worker) is not None
    assert utterances.release_dead(host) == 2
    states = [state_of(row) for row in rows]
    assert states == ["claimed", "pending", "pending", "claimed"]


def test_in_doubt_a_worker_lives() -> None:
    assert workers.lives("whatever")
    assert workers.lives("host:x:y:z")


# --- reading ---


def test_it_knows_how_far_the_text_is_behind(room: Room) -> None:
    alice = room.joins("Alice")
    other = Room()
    other.hears(other.joins("Bob"), "y")
    for _ in range(2):
        room.hears(alice, "x")
    claim()
    now = timezone.now() + timedelta(seconds=5)
    found = utterances.backlog(now=now)
    assert (found.pending, found.claimed) == (2, 1)
    assert found.oldest_s == pytest.approx(5, abs=0.5)
    assert utterances.unfinished(room.session.pk) == 2
    behind_s = utterances.behind_s([room.session.pk, other.session.pk, 0], now=now)
    assert behind_s.keys() == {room.session.pk, other.session.pk}
    assert behind_s[room.session.pk] == pytest.approx(5, abs=0.5)
    assert utterances.behind_s([room.session.pk]).keys() == {room.session.pk}


def test_nothing_waits_where_nobody_spoke(room: Room) -> None:
    assert utterances.backlog() == utterances.Backlog(0, 0, 0.0)
    assert utterances.behind_s([room.session.pk]) == {}


def test_the_transcript_is_ordered_by_when_it_was_said(room: Room) -> None:
    alice = room.joins("Alice")
    for at_ms, text in ((5000, "second"), (1000, "first")):
        room.hears(alice, "x", at_ms=at_ms)
        utterances.complete(claim(), said(text))
    room.hears(alice, "still waiting")
    found = utterances.of_session(room.session.pk)
    assert [line.text for line in found] == ["first", "second"]
    assert found[0].words[0].word == "hello"


# --- the end of a session ---


def end(room: Room) -> None:
    sessions = VoiceSession.objects.filter(pk=room.session.pk)
    sessions.update(state=State.FINISHING, ended_at=timezone.now())


def test_the_last_text_lets_the_end_go_on(room: Room, bell: Bell) -> None:
    alice = room.joins("Alice")
    for _ in range(2):
        room.hears(alice, "x")
    end(room)
    assert not backfill.complete(room.session.pk)
    utterances.complete(claim(), said())
    assert bell.count(finish.TASK) == 0
    utterances.complete(claim(), Recognised())
    assert bell.rung[-1] == (finish.TASK, (room.session.pk,), "media")
    assert backfill.complete(room.session.pk)


def test_a_given_up_row_does_not_hold_up_the_end(
    room: Room, bell: Bell, settings: Settings
) -> None:
    settings.STT_MAX_ATTEMPTS = 1
    room.hears(room.joins("Alice"), "x")
    end(room)
    utterances.give_back(claim(), error="RuntimeError")
    assert bell.count(finish.TASK) == 1
    assert backfill.complete(room.session.pk)


def test_an_open_session_is_not_finished_by_its_text(room: Room, bell: Bell) -> None:
    room.hears(room.joins("Alice"), "x")
    utterances.complete(claim(), said())
    assert bell.count(finish.TASK) == 0


# --- draining ---


def test_it_drains_until_none_is_left(room: Room, engine: FakeEngine) -> None:
    alice = room.joins("Alice")
    for text in ("one", "two", "three"):
        room.hears(alice, text)
    assert tasks.drain() == 3
    assert [event["text"] for event in room.told("utterance")] == engine.heard
    assert tasks.drain() == 0


def test_a_bad_utterance_does_not_stop_the_others(
    room: Room, engine: FakeEngine
) -> None:
    alice = room.joins("Alice")
    rows = [room.hears(alice, text) for text in ("one", "two")]
    engine.breaks(times=2)
    assert tasks.drain() == 1
    assert [state_of(row) for row in rows] == ["pending", "done"]


def test_utterances_wait_for_a_model_that_went_missing(
    room: Room, engine: FakeEngine
) -> None:
    row = room.hears(room.joins("Alice"), "x")
    engine.loses_its_model()
    assert tasks.drain() == 0
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("pending", 0)


def test_a_language_once_detected_is_given_from_then_on(
    room: Room, engine: FakeEngine
) -> None:
    alice = room.joins("Alice")
    room.hears(alice, "one")
    room.hears(alice, "two")
    tasks.drain()
    assert engine.languages == ["", "en"]


def test_the_bell_reaches_djangoqs_queue(
    transactional_db: None, live_cache: None
) -> None:
    from django_q.models import OrmQ

    room = Room()
    utterances.record(spoken_by(room.joins("Alice"), "x"))
    queued = OrmQ.objects.get()
    assert (queued.key, queued.func()) == ("stt", doorbell.DRAIN)


@pytest.mark.django_db
def test_what_a_returning_stream_says_again_is_kept_once(room: Room) -> None:
    alice, ben = room.joins("Alice"), room.joins("Ben")
    room.hears(alice, "hello", at_ms=1000)
    again = spoken_by(alice, "hello", at_ms=1040)
    utterances.record(again)
    utterances.record(spoken_by(ben, "hello", at_ms=1040))
    utterances.record(spoken_by(alice, "team", at_ms=1800))
    starts = Utterance.objects.order_by("pk").values_list("start", flat=True)
    assert [start // 48 for start in starts] == [1000, 1040, 1800]
    assert not Utterance.objects.filter(public_id=again.public_id).exists()
