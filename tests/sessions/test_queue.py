"""The queue: everybody in their turn, once, whoever dies and whoever races."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async
from scene import NOON, a_session, at_once

from sessions import deletion, events, finish, lifecycle, opening, queue
from sessions.models import Source, State, VoiceRequest, VoiceSession
from sessions.queue import AlreadyWaitingError

pytestmark = pytest.mark.django_db

GUILDS = [f"guild {n}" for n in range(50)]
LEASE_S = 60.0
LATER = NOON + timedelta(seconds=LEASE_S + 1)


def ask(user: object = "ada", guild: str = GUILDS[0], **fields: Any) -> int:
    request = queue.ask(
        source=Source.DISCORD, guild_id=guild, user_id=str(user), **fields
    )
    return request.pk


def take(
    holder: str = "bot",
    *,
    guilds: list[str] = GUILDS,
    most: int = 0,
    now: datetime = NOON,
) -> int | None:
    request = queue.take_next(
        guilds, holder=holder, most=most, lease_s=LEASE_S, now=now
    )
    return request.pk if request else None


def serve(request_id: int) -> VoiceSession:
    """The session that its holder makes for it."""
    request = VoiceRequest.objects.get(pk=request_id)
    session = opening.request_session(
        source=Source.DISCORD,
        guild_id=request.guild_id,
        channel_id="",
        user_id=request.user_id,
    )
    assert queue.granted(request_id, session.pk)
    return session


def state_of(request_id: int) -> str:
    return VoiceRequest.objects.get(pk=request_id).state


# --- in their turn ------------------------------------------------------------------


def test_who_came_first_is_served_first() -> None:
    asked = [ask(n, GUILDS[n]) for n in range(4)]
    assert [take() for _ in range(5)] == [*asked, None]


def test_who_is_taken_holds_a_slot_in_its_holders_name() -> None:
    ask()
    request = queue.take_next(GUILDS, holder="bot", most=1, lease_s=60.0, now=NOON)
    assert request is not None
    request.refresh_from_db()
    assert (request.state, request.holder, request.attempts) == ("served", "bot", 1)
    assert request.granted_at == NOON
    assert request.leased_until == NOON + timedelta(seconds=60)


def test_a_holder_takes_only_from_its_own_guilds() -> None:
    ask(guild=GUILDS[0])
    second = ask(guild=GUILDS[1])
    assert take(guilds=[GUILDS[1]]) == second
    assert take(guilds=[]) is None


def test_a_guild_has_one_session_and_who_waits_for_it_holds_up_nobody() -> None:
    first = ask("ada", GUILDS[0])
    waits = ask("ben", GUILDS[0])
    elsewhere = ask("cy", GUILDS[1])
    assert [take(), take(), take()] == [first, elsewhere, None]
    queue.release(serve(first).pk)
    assert take() == waits


def test_no_more_than_the_limit_run_in_all_guilds_together() -> None:
    asked = [ask(n, GUILDS[n]) for n in range(3)]
    assert [take(most=2), take(most=2), take(most=2)] == [*asked[:2], None]
    assert take(most=0) == asked[2]


def test_who_waits_asks_in_vain_and_who_is_served_may_wait_again() -> None:
    ask()
    with pytest.raises(AlreadyWaitingError) as told:
        ask()
    assert told.value.code == "already_waiting"
    take()
    assert ask()


def test_a_person_may_wait_in_two_guilds() -> None:
    ask(guild=GUILDS[0])
    assert ask(guild=GUILDS[1])


def test_a_name_is_made_fit_for_a_screen() -> None:
    request = VoiceRequest.objects.get(pk=ask(user_name=" Ada\n\u202eLovelace"))
    assert request.user_name == "Ada Lovelace"


# --- the place ----------------------------------------------------------------------


def test_the_place_moves_up_as_those_before_leave() -> None:
    asked = [ask(n) for n in range(4)]
    assert [queue.place(pk) for pk in asked] == [1, 2, 3, 4]
    take()
    queue.drop(asked[1])
    assert [queue.place(pk) for pk in asked] == [0, 0, 1, 2]


def test_places_count_all_guilds_and_tell_ones_own() -> None:
    asked = [ask(n, GUILDS[n % 2]) for n in range(5)]
    assert queue.places([GUILDS[1]]) == {asked[1]: 2, asked[3]: 4}
    assert queue.places(GUILDS) == {pk: queue.place(pk) for pk in asked}


def test_the_message_that_shows_the_place_is_kept() -> None:
    request = ask()
    assert queue.shown(request, message_id="4711")
    assert VoiceRequest.objects.get(pk=request).message_id == "4711"


# --- leaving ------------------------------------------------------------------------


def test_who_leaves_the_queue_is_not_served() -> None:
    first, second = ask("ada"), ask("ben")
    assert queue.drop(first)
    assert not queue.drop(first)
    assert take() == second
    assert not queue.drop(second)


def test_a_person_leaves_one_guilds_queue() -> None:
    here, there = ask(guild=GUILDS[0]), ask(guild=GUILDS[1])
    assert queue.drop_of_user(Source.DISCORD, GUILDS[0], "ada")
    assert not queue.drop_of_user(Source.DISCORD, GUILDS[0], "ada")
    assert (state_of(here), state_of(there)) == ("dropped", "waiting")


def test_a_slot_is_freed_once() -> None:
    request = ask()
    take()
    session = serve(request)
    assert queue.release(session.pk)
    assert not queue.release(session.pk)
    assert not queue.release(4711)
    assert state_of(request) == "done"


def test_what_failed_before_its_session_gives_its_slot_back() -> None:
    request, next_ = ask("ada"), ask("ben")
    take()
    assert queue.give_back(request)
    assert not queue.give_back(request)
    assert (state_of(request), take()) == ("dropped", next_)


def test_who_lost_a_request_does_not_drop_it_for_the_next() -> None:
    request = ask()
    take("slow")
    queue.put_back_lost(now=LATER)
    take("next", now=LATER)
    assert not queue.give_back(request, attempt=1)
    assert queue.give_back(request, attempt=2)


def test_a_request_is_tied_to_one_session() -> None:
    request, late = ask(), a_session()
    assert not queue.granted(request, late.pk)
    take()
    serve(request)
    assert not queue.granted(request, late.pk)


def test_what_is_known_of_the_person_goes_with_their_session() -> None:
    request = ask()
    take()
    session = serve(request)
    lifecycle.advance(session.pk, State.FAILED)
    deletion.delete(session)
    assert not VoiceRequest.objects.filter(pk=request).exists()


@pytest.mark.django_db(transaction=True)
async def test_the_end_of_a_session_frees_its_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finish, "ring", lambda _: None)
    request = await database_sync_to_async(_served_and_active)()
    session_id = request.session_id
    assert session_id is not None
    assert await finish.end(session_id, reason="left")
    await request.arefresh_from_db()
    assert request.state == "done"


def _served_and_active() -> VoiceRequest:
    request = ask()
    take()
    session = serve(request)
    lifecycle.advance(session.pk, State.ACTIVE)
    return VoiceRequest.objects.get(pk=request)


# --- leases -------------------------------------------------------------------------


def test_a_slot_is_held_to_the_end_of_its_lease_and_no_longer() -> None:
    ask("ada")
    next_ = ask("ben")
    take()
    end = NOON + timedelta(seconds=LEASE_S)
    assert take(now=end) is None
    assert take(now=end + timedelta(seconds=1)) == next_


def test_a_renewed_lease_holds_its_slot() -> None:
    asked = [ask(n, GUILDS[n]) for n in range(3)]
    take("bot")
    take("bot")
    take("other")
    assert queue.renew("bot", lease_s=LEASE_S, now=LATER) == 2
    assert queue.put_back_lost(now=LATER) == [asked[2]]
    assert [request.pk for request in queue.mine("bot")] == asked[:2]


def test_who_finished_has_nothing_to_renew() -> None:
    request = ask()
    take()
    queue.release(serve(request).pk)
    assert queue.renew("bot", lease_s=LEASE_S) == 0
    assert queue.mine("bot") == []


def test_a_request_whose_holder_died_waits_in_its_old_place() -> None:
    asked = [ask(n) for n in range(3)]
    take()
    session = serve(asked[0])
    assert queue.put_back_lost(now=NOON) == []
    assert queue.put_back_lost(now=LATER) == [asked[0]]
    assert [queue.place(pk) for pk in asked] == [1, 2, 3]
    session.refresh_from_db()
    assert (session.state, session.failure) == (State.FAILED, "bot_restarted")
    assert [e.data["state"] for e in events.replay(session.pk, after=0)] == ["failed"]
    request = VoiceRequest.objects.get(pk=asked[0])
    assert (request.session, request.holder, request.granted_at) == (None, "", None)


def test_a_session_whose_person_has_something_of_it_is_left_alone() -> None:
    request, next_ = ask("ada"), ask("ben")
    take()
    session = serve(request)
    lifecycle.advance(session.pk, State.WAITING)
    assert queue.put_back_lost(now=LATER) == []
    session.refresh_from_db()
    assert (session.state, state_of(request)) == (State.WAITING, "served")
    assert take(now=LATER) == next_  # its slot is free all the same


def test_a_session_that_ended_without_its_holder_is_done() -> None:
    request = ask()
    take()
    lifecycle.advance(serve(request).pk, State.FAILED)
    assert queue.put_back_lost(now=LATER) == []
    assert state_of(request) == "done"


def test_who_starts_again_under_its_name_need_not_wait_for_the_lease() -> None:
    mine, others = ask("ada", GUILDS[0]), ask("ben", GUILDS[1])
    take("bot")
    take("other")
    assert queue.put_back_of("bot") == [mine]
    assert state_of(others) == "served"


def test_who_asked_again_after_the_crash_waits_once() -> None:
    older = ask()
    take()
    newer = ask()
    assert queue.put_back_lost(now=LATER) == []
    assert (state_of(older), queue.place(newer)) == ("dropped", 1)


def test_a_holder_that_comes_too_late_gets_nothing() -> None:
    request, late = ask(), a_session(State.REQUESTED)
    take("slow")
    queue.put_back_lost(now=LATER)
    assert not queue.granted(request, late.pk)
    assert queue.renew("slow", lease_s=LEASE_S, now=LATER) == 0


def test_all_are_served_once_and_in_order_though_holders_die() -> None:
    asked = [ask(n, GUILDS[n]) for n in range(8)]
    now, served = NOON, []
    for life in range(16):
        request = take(f"bot {life}", most=1, now=now)
        assert request is not None
        session = serve(request)
        if life % 2:  # every other holder dies here
            served.append(request)
            queue.release(session.pk)
        now += timedelta(seconds=LEASE_S + 1)
        queue.put_back_lost(now=now)
    assert served == asked
    assert VoiceSession.objects.filter(failure="bot_restarted").count() == 8


# --- races, on both databases -------------------------------------------------------


@pytest.mark.usefixtures("either_database")
def test_fifty_at_once_are_served_one_by_one_in_order_by_eight() -> None:
    asked = [ask(n, GUILDS[n]) for n in range(50)]
    served: list[int] = []
    slot, freed = threading.Lock(), threading.Condition()

    def work(number: int) -> None:
        while VoiceRequest.objects.filter(state="waiting").exists():
            request = take(f"bot {number}", most=1)
            if request is None:
                with freed:  # the next look is everybody's at once
                    freed.wait(0.05)
                continue
            assert slot.acquire(blocking=False), "two slots at once"
            served.append(request)
            session = serve(request)
            slot.release()
            assert queue.release(session.pk)
            with freed:
                freed.notify_all()

    assert at_once(work, threads=8) == [None] * 8
    assert served == asked
    assert not VoiceRequest.objects.exclude(state="done").exists()


@pytest.mark.usefixtures("either_database")
def test_holders_of_different_guilds_share_the_limit() -> None:
    for n in range(8):
        ask(n, GUILDS[n])
    taken = at_once(lambda n: take(guilds=[GUILDS[n]], most=3), threads=8)
    assert sorted(pk is None for pk in taken) == [False] * 3 + [True] * 5


@pytest.mark.usefixtures("either_database")
def test_one_guilds_slot_goes_to_one() -> None:
    for n in range(8):
        ask(n)
    taken = at_once(lambda n: take(f"bot {n}"), threads=8)
    assert sorted(pk is None for pk in taken) == [False] + [True] * 7


@pytest.mark.usefixtures("either_database")
def test_who_asks_many_times_at_once_waits_once() -> None:
    answers = at_once(lambda _: ask(), threads=6)
    assert sorted(type(answer).__name__ for answer in answers) == [
        *["AlreadyWaitingError"] * 5,
        "int",
    ]


@pytest.mark.usefixtures("either_database")
def test_a_lost_request_is_put_back_by_one() -> None:
    request = ask()
    take()
    session = serve(request)
    found = at_once(lambda _: queue.put_back_lost(now=LATER), threads=6)
    assert sorted(found) == [[]] * 5 + [[request]]
    assert len(events.replay(session.pk, after=0)) == 1


@pytest.mark.usefixtures("either_database")
def test_a_session_is_either_failed_with_its_holder_or_goes_on() -> None:
    for n in range(6):
        request = ask(n, GUILDS[n])
        take()
        session = serve(request)

        def work(number: int, session_id: int = session.pk) -> bool:
            if number:
                return lifecycle.advance(session_id, State.WAITING)
            return bool(queue.put_back_lost(now=LATER))

        put_back, goes_on = at_once(work, threads=2)
        session.refresh_from_db()
        assert put_back != goes_on
        assert session.state == (State.WAITING if goes_on else State.FAILED)
        queue.drop(request)
        queue.release(session.pk)


@pytest.mark.usefixtures("either_database")
def test_a_slot_freed_by_many_at_once_is_freed_once() -> None:
    request = ask()
    take()
    session = serve(request)
    freed = at_once(lambda _: queue.release(session.pk), threads=6)
    assert sorted(freed) == [False] * 5 + [True]
