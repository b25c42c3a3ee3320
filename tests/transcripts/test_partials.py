from __future__ import annotations

import time
import uuid
from dataclasses import replace

import pytest
from fake_engine import FakeEngine, sound_of
from hypothesis import given
from hypothesis import strategies as st
from rooms import Bell, Room

from sessions import flashes
from sessions.livecache import live
from sessions.models import Participant
from transcripts import doorbell, partials, tasks, utterances
from transcripts.partials import PartialRequest, steady_chars
from transcripts.recognised import Recognised


def saying(
    who: Participant, text: str, *, rev: int = 1, of: uuid.UUID | None = None
) -> PartialRequest:
    return PartialRequest(
        session_id=who.session_id,
        participant_id=who.pk,
        participant_public_id=who.public_id,
        name=who.name,
        utterance_id=of or uuid.uuid4(),
        rev=rev,
        start=48_000,
        audio_start=24_000,
        audio=sound_of(text, seconds=2.0),
    )


def shown(who: Participant) -> dict[str, object] | None:
    key = f"partial:{who.pk}"
    found = flashes.current(who.session_id, [key]).get(key)
    return found.data if found else None


def test_it_shows_the_words_so_far(room: Room, engine: FakeEngine, bell: Bell) -> None:
    alice = room.joins("Alice")
    request = saying(alice, "hello te")
    partials.offer(request)
    assert bell.rung == [(doorbell.PARTIAL, (alice.pk,), "stt")]
    assert tasks.partial(alice.pk)
    assert shown(alice) == {
        "id": str(request.utterance_id),
        "rev": 1,
        "participant": str(alice.public_id),
        "name": "Alice",
        "start_ms": 1000,
        "end_ms": 2500,
        "text": "hello te",
        "stable": 0,
    }


def test_words_that_stood_before_are_steady(room: Room, engine: FakeEngine) -> None:
    alice = room.joins("Alice")
    first = saying(alice, "hello te")
    partials.offer(first)
    tasks.partial(alice.pk)
    partials.offer(replace(first, rev=2, audio=sound_of("hello team and")))
    tasks.partial(alice.pk)
    flash = shown(alice)
    assert flash is not None
    assert (flash["rev"], flash["text"], flash["stable"]) == (2, "hello team and", 5)


def test_a_new_utterance_owes_nothing_to_the_one_before(
    room: Room, engine: FakeEngine
) -> None:
    alice = room.joins("Alice")
    partials.offer(saying(alice, "hello team", rev=7))
    tasks.partial(alice.pk)
    assert partials.answered(alice.pk) == 7
    partials.offer(saying(alice, "hello team again", rev=1))
    assert partials.answered(alice.pk) == 0
    assert tasks.partial(alice.pk)
    flash = shown(alice)
    assert flash is not None
    assert (flash["rev"], flash["stable"]) == (1, 0)


def test_it_stands_back_while_a_final_waits(room: Room, engine: FakeEngine) -> None:
    alice, bob = room.joins("Alice"), room.joins("Bob")
    room.hears(bob, "waits")
    partials.offer(saying(alice, "hello"))
    assert not tasks.partial(alice.pk)
    assert engine.heard == []
    assert shown(alice) is None
    assert (partials.answered(alice.pk), partials.shed_count()) == (1, 1)


def test_it_stands_back_without_a_model(room: Room) -> None:
    alice = room.joins("Alice")
    partials.offer(saying(alice, "hello"))
    assert not tasks.partial(alice.pk)
    assert partials.answered(alice.pk) == 1


def test_old_words_are_shed(room: Room, engine: FakeEngine) -> None:
    alice = room.joins("Alice")
    partials.offer(saying(alice, "hello"), now=time.time() - 5)
    assert not tasks.partial(alice.pk)
    assert (partials.answered(alice.pk), engine.heard) == (1, [])


def test_a_bell_rung_twice_is_answered_once(room: Room, engine: FakeEngine) -> None:
    alice = room.joins("Alice")
    partials.offer(saying(alice, "hello"))
    tasks.partial(alice.pk)
    assert not tasks.partial(alice.pk)
    assert engine.heard == ["hello"]


def test_only_the_newest_words_are_written_down(room: Room, engine: FakeEngine) -> None:
    alice = room.joins("Alice")
    first = saying(alice, "hello")
    partials.offer(first)
    partials.offer(replace(first, rev=2, audio=sound_of("hello team")))
    tasks.partial(alice.pk)
    tasks.partial(alice.pk)
    assert engine.heard == ["hello team"]


def test_nothing_is_shown_after_the_end_of_the_utterance(
    room: Room, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended while its words were being written down."""
    alice = room.joins("Alice")
    partials.offer(saying(alice, "hello"))

    def end_meanwhile(audio: bytes, *, language: str) -> Recognised:
        partials.withdraw(room.session.pk, alice.pk)
        return Recognised("hello")

    monkeypatch.setattr(engine, "partial", end_meanwhile)
    assert not tasks.partial(alice.pk)
    assert shown(alice) is None


def test_a_withdrawn_request_is_not_worked_on(room: Room, engine: FakeEngine) -> None:
    alice = room.joins("Alice")
    partials.offer(saying(alice, "hello"))
    partials.withdraw(room.session.pk, alice.pk)
    assert not tasks.partial(alice.pk)
    assert engine.heard == []


def test_a_fault_of_the_engine_costs_grey_words_only(
    room: Room, engine: FakeEngine
) -> None:
    alice = room.joins("Alice")
    partials.offer(saying(alice, "hello"))
    engine.breaks(times=1)
    assert not tasks.partial(alice.pk)
    assert partials.answered(alice.pk) == 1


def test_grey_words_go_when_nothing_was_said(room: Room, engine: FakeEngine) -> None:
    alice = room.joins("Alice")
    row = room.hears(alice, "")
    partials.offer(saying(alice, "thank you", rev=3, of=row.public_id))
    request = partials.take(alice.pk)
    assert request is not None
    partials.show(request, Recognised("thank you"))
    tasks.drain()
    flash = shown(alice)
    assert flash is not None
    assert (flash["id"], flash["text"], flash["rev"]) == (str(row.public_id), "", 4)


def test_the_language_found_once_is_not_looked_for_again(
    room: Room, engine: FakeEngine
) -> None:
    alice = room.joins("Alice")
    first = saying(alice, "hello")
    partials.offer(first)
    tasks.partial(alice.pk)
    partials.offer(replace(first, rev=2))
    tasks.partial(alice.pk)
    assert engine.languages == ["", "en"]
    assert utterances.language_of(alice.pk) == ""


def test_a_broken_cache_costs_grey_words_only(
    room: Room, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(live(), "set", refuse)
    alice = room.joins("Alice")
    partials.offer(saying(alice, "hello"))
    assert bell.rung == []


WORDS = st.lists(st.sampled_from(["a", "be", "see", "hello"]), max_size=6)


@given(WORDS, WORDS)
def test_what_is_steady_is_whole_words_of_both(old: list[str], new: list[str]) -> None:
    before, after = " ".join(old), " ".join(new)
    count = steady_chars(before, after)
    common = after[:count]
    assert before.startswith(common)
    assert common.split() == new[: len(common.split())]
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    assert len(common.split()) == same
