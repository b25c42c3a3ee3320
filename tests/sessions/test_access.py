"""Who may open a session, and who is not even told that it exists."""

from __future__ import annotations

from datetime import timedelta

import pytest
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from scene import a_moderator, a_session, a_user, an_open_session, on_discord

from sessions import access, audit, guilds, participants, queries
from sessions.errors import NotAllowedError, SessionNotFoundError
from sessions.models import AuditEntry, Participant, State, VoiceSession

pytestmark = pytest.mark.django_db

UNKNOWN = "3dae4908-d4e6-4e3a-b673-376012d6ccb6"


def test_its_token_opens_a_session_and_no_other() -> None:
    one, other = an_open_session(), an_open_session()
    found = access.session_for(one.session.public_id, token=one.token)
    assert found == one.session
    with pytest.raises(SessionNotFoundError):
        access.session_for(one.session.public_id, token=other.token)


@pytest.mark.parametrize("token", ["", "x", "\x00", "ü" * 32, "\ud800", "a" * 10_000])
def test_no_other_token_does(token: str) -> None:
    made = an_open_session()
    with pytest.raises(SessionNotFoundError):
        access.session_for(made.session.public_id, token=token)


def test_its_owner_and_moderators_may_and_strangers_may_not() -> None:
    ada, ben, mod = a_user("ada"), a_user("ben", staff=True), a_moderator()
    session = an_open_session(owner=ada).session
    assert access.session_for(session.public_id, user=ada) == session
    assert access.session_for(session.public_id, user=mod) == session
    for stranger in (ben, AnonymousUser()):
        with pytest.raises(SessionNotFoundError):
            access.session_for(session.public_id, user=stranger)


def a_call(guild_id: str = "77") -> VoiceSession:
    """A Discord call in which the user 500 has spoken."""
    call = VoiceSession.objects.create(
        source="discord",
        state=State.ACTIVE,
        guild_id=guild_id,
        started_at=timezone.now(),
    )
    call.participants.create(key="discord:500", name="Eve")
    return call


def sees(user: User, session: VoiceSession) -> bool:
    """By page, by list and by search: they never differ."""
    listed = queries.visible_to(user).filter(pk=session.pk).exists()
    assert access.may_open(session, user) == listed
    found = queries.searchable_by(user)
    assert found is None or found.filter(pk=session.pk).exists() == listed
    return listed


def test_who_spoke_on_discord_sees_the_call_and_does_not_end_it() -> None:
    call, eve = a_call(), on_discord(a_user("eve"), "500")
    assert sees(eve, call)
    assert not sees(on_discord(a_user("mallory"), "5"), call)
    with pytest.raises(NotAllowedError):
        access.session_to_manage(call.public_id, user=eve)


def test_an_account_elsewhere_with_the_same_number_is_somebody_else() -> None:
    call, eve = a_call(), a_user("eve")
    SocialAccount.objects.create(user=eve, provider="other", uid="500")
    assert not sees(eve, call)


def test_who_spoke_in_a_browser_signed_in_sees_the_session_later() -> None:
    made, ben = an_open_session(), a_user("ben")
    assert not sees(ben, made.session)
    participants.join(
        made.session.pk, key="s", name="Ben", connection="1", user_id=ben.pk
    )
    assert sees(ben, made.session)
    participants.join(
        made.session.pk, key="s", name="B", connection="2", user_id=a_user("eve").pk
    )
    assert Participant.objects.get().user == ben


def test_who_was_erased_from_a_session_does_not_see_it_any_more() -> None:
    call, eve = a_call(), on_discord(a_user("eve"), "500")
    participants.erase(call.participants.get())
    assert not sees(eve, call)


def test_a_guilds_manager_sees_and_ends_the_calls_of_their_guild() -> None:
    call, other, moe = a_call("77"), a_call("78"), on_discord(a_user("moe"), "9")
    assert not sees(moe, call)
    guilds.remember("9", ["77"])
    assert sees(moe, call)
    assert not sees(moe, other)
    assert access.session_to_manage(call.public_id, user=moe) == call
    guilds.remember("9", ["78"])
    assert not sees(moe, call)


@pytest.mark.usefixtures("either_database")
def test_both_databases_tell_the_same_people_the_same() -> None:
    call, other = a_call("901"), a_call("902")
    eve = on_discord(a_user("eve of both"), "500")
    moe = on_discord(a_user("moe of both"), "901")
    guilds.remember("901", ["901"])
    guilds.remember("901", ["901"])  # again, at the next sign-in
    assert set(queries.visible_to(eve)) == {call, other}
    assert list(queries.visible_to(moe)) == [call]
    assert sees(eve, other)
    assert not sees(moe, other)
    for _ in range(2):
        audit.note(call, kind=audit.Kind.AUDIO, user=moe, address="192.0.2.7")
    assert AuditEntry.objects.filter(session=call.public_id).count() == 1


def test_what_was_known_of_guilds_a_week_ago_counts_no_more() -> None:
    call, moe = a_call("77"), on_discord(a_user("moe"), "9")
    now = timezone.now()
    guilds.remember("9", ["77"], now=now - timedelta(days=6, hours=23))
    assert sees(moe, call)
    guilds.remember("9", ["77"], now=now - timedelta(days=7, hours=1))
    assert not sees(moe, call)
    assert guilds.forget_old() == 1


def test_a_session_without_a_guild_has_no_managers() -> None:
    session, moe = a_session(), on_discord(a_user("moe"), "9")
    guilds.remember("9", ["", "77"])
    assert not access.may_open(session, moe)


def test_a_moderator_who_is_not_active_any_more_sees_nothing() -> None:
    mod = a_moderator()
    assert access.is_moderator(mod)
    mod.is_active = False
    assert not access.is_moderator(mod)


def test_a_list_asks_as_much_of_many_sessions_as_of_few() -> None:
    eve = on_discord(a_user("eve"), "500")

    def asked() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries_:
            list(queries.visible_to(User.objects.get(pk=eve.pk)))
        return len(queries_)

    a_call()
    few = asked()
    for number in range(20):
        guilds.remember("500", [str(n) for n in range(number)])
        a_call(str(number))
    assert asked() == few


@pytest.mark.parametrize("public_id", ["", "x", "\x00", UNKNOWN, "9" * 500])
def test_an_id_that_is_none_is_not_found(public_id: str) -> None:
    with pytest.raises(SessionNotFoundError):
        access.find(public_id)


def test_a_deleted_session_is_not_found() -> None:
    with pytest.raises(SessionNotFoundError):
        access.find(a_session(State.DELETED).public_id)
