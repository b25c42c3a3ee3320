"""Notes: taken now or later, by whoever may open the session, and theirs to change."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from scene import a_session, a_user

from sessions import access, bookmarks, events
from sessions.bookmarks import Author
from sessions.errors import VoiceError
from sessions.models import Bookmark, Participant, State, VoiceSession

pytestmark = pytest.mark.django_db


@pytest.fixture
def talk() -> VoiceSession:
    """Runs for a minute."""
    began = timezone.now() - timedelta(minutes=1)
    return a_session(started_at=began, owner=a_user("ada"))


@pytest.fixture
def over() -> VoiceSession:
    """A minute, an hour ago."""
    began = timezone.now() - timedelta(hours=1)
    ended = began + timedelta(minutes=1)
    fields = {"started_at": began, "ended_at": ended}
    return a_session(State.READY, owner=a_user("ben"), **fields)


def address(talk: VoiceSession, more: str = "") -> str:
    return f"/api/sessions/{talk.public_id}/bookmarks{more}"


def sign_in(client: Client, talk: VoiceSession) -> None:
    """Its owner."""
    assert talk.owner is not None
    client.force_login(talk.owner)


def bearer(talk: VoiceSession) -> dict[str, str]:
    return {"Authorization": f"Bearer {access.token_of(talk)}"}


def send(
    client: Client,
    method: str,
    where: str,
    body: dict[str, Any],
    headers: dict[str, str] | None = None,
) -> Any:
    text = json.dumps(body)
    return client.generic(method, where, text, "application/json", headers=headers)


def notes(talk: VoiceSession) -> list[tuple[str, str]]:
    replayed = events.replay(talk.pk, after=0)
    return [(one.type, one.data.get("text", "")) for one in replayed]


def test_a_note_without_a_moment_is_of_now(client: Client, talk: VoiceSession) -> None:
    sign_in(client, talk)
    answer = send(client, "POST", address(talk), {"text": " Ask\nher "})
    assert answer.status_code == 201
    told = answer.json()
    assert 60_000 <= told["at_ms"] < 70_000
    assert (told["text"], told["by"], told["may_change"]) == ("Ask her", "ada", True)
    (event,) = events.replay(talk.pk, after=0)
    assert event.type == "note"
    assert (event.data["id"], event.data["text"]) == (told["id"], "Ask her")


def test_a_guest_with_the_link_takes_one_too(
    client: Client, talk: VoiceSession
) -> None:
    body = {"text": "Here", "at_ms": 1500}
    answer = send(client, "POST", address(talk), body, bearer(talk))
    told = answer.json()
    assert (told["by"], told["at_ms"], told["may_change"]) == ("Guest", 1500, False)


def test_they_are_listed_by_their_time(client: Client, over: VoiceSession) -> None:
    sign_in(client, over)
    for at_ms in (30_000, 10_000, 20_000):
        send(client, "POST", address(over), {"at_ms": at_ms})
    told = client.get(address(over)).json()
    assert [one["at_ms"] for one in told] == [10_000, 20_000, 30_000]


@pytest.mark.parametrize("at_ms", [-1, 60_001])
def test_a_moment_outside_of_the_session_is_refused(
    client: Client, over: VoiceSession, at_ms: int
) -> None:
    sign_in(client, over)
    answer = send(client, "POST", address(over), {"at_ms": at_ms})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_moment")


def test_now_is_no_moment_of_what_is_over(client: Client, over: VoiceSession) -> None:
    sign_in(client, over)
    answer = send(client, "POST", address(over), {"text": "late"})
    assert (answer.status_code, answer.json()["code"]) == (422, "no_moment")


def test_a_page_may_be_a_little_ahead_and_no_more(talk: VoiceSession) -> None:
    now = talk.started_at + timedelta(seconds=60) if talk.started_at else None
    row = bookmarks.take(talk, "", by=Author(), at_ms=62_000, now=now)
    assert row.position == 60 * 48_000
    with pytest.raises(VoiceError):
        bookmarks.take(talk, "", by=Author(), at_ms=70_000, now=now)


def test_what_has_not_begun_has_no_moments(client: Client) -> None:
    talk = a_session(State.REQUESTED, owner=a_user("cy"), started_at=None)
    sign_in(client, talk)
    answer = send(client, "POST", address(talk), {"at_ms": 0})
    assert (answer.status_code, answer.json()["code"]) == (409, "not_begun")


def test_too_much_text_is_refused(client: Client, over: VoiceSession) -> None:
    sign_in(client, over)
    body = {"at_ms": 0, "text": "a" * 501}
    assert send(client, "POST", address(over), body).json()["code"] == "too_long"


def test_ones_own_note_is_changed_and_told_anew(
    client: Client, talk: VoiceSession
) -> None:
    sign_in(client, talk)
    made = send(client, "POST", address(talk), {"text": "one"}).json()
    where = address(talk, f"/{made['id']}")
    changed = send(client, "PATCH", where, {"text": "two"}).json()
    assert (changed["text"], changed["at_ms"]) == ("two", made["at_ms"])
    assert send(client, "PATCH", where, {"at_ms": 5}).json()["text"] == "two"
    assert notes(talk) == [("note", "one"), ("note", "two"), ("note", "two")]


def test_what_is_deleted_is_in_no_log(client: Client, talk: VoiceSession) -> None:
    sign_in(client, talk)
    made = send(client, "POST", address(talk), {"text": "a secret"}).json()
    assert client.delete(address(talk, f"/{made['id']}")).status_code == 204
    assert notes(talk) == [("note.gone", "")]
    assert client.get(address(talk)).json() == []
    assert client.delete(address(talk, f"/{made['id']}")).status_code == 404


def test_others_notes_are_for_who_manages(client: Client, talk: VoiceSession) -> None:
    row = bookmarks.take(talk, "mine", by=Author("ben", a_user("ben")))
    where = address(talk, f"/{row.public_id}")
    refused = send(client, "PATCH", where, {"text": "yours"}, bearer(talk))
    assert (refused.status_code, refused.json()["code"]) == (403, "not_yours")
    assert client.delete(where, headers=bearer(talk)).status_code == 403
    sign_in(client, talk)
    assert client.get(address(talk)).json()[0]["may_change"]
    assert client.delete(where).status_code == 204


def test_somebody_with_the_link_who_is_signed_in_changes_their_own(
    client: Client, talk: VoiceSession
) -> None:
    client.force_login(a_user("eve"))
    where = address(talk, f"?token={access.token_of(talk)}")
    made = send(client, "POST", where, {"text": "mine"}).json()
    assert (made["by"], made["may_change"]) == ("eve", True)
    own = address(talk, f"/{made['id']}?token={access.token_of(talk)}")
    assert client.delete(own).status_code == 204


def test_strangers_see_no_notes(client: Client, talk: VoiceSession) -> None:
    assert client.get(address(talk)).status_code == 401
    client.force_login(a_user("eve"))
    assert client.get(address(talk)).status_code in (403, 404)
    assert send(client, "POST", address(talk), {}).status_code in (403, 404)


def test_the_list_costs_the_same_however_many_there_are(
    client: Client, over: VoiceSession
) -> None:
    sign_in(client, over)

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            client.get(address(over))
        return len(asked)

    bookmarks.take(over, "", by=Author(), at_ms=0)
    before = queries()
    for at_ms in range(1, 20):
        bookmarks.take(over, "", by=Author(), at_ms=at_ms)
    assert queries() == before


def test_what_somebody_on_discord_noted_goes_with_them(over: VoiceSession) -> None:
    person = Participant.objects.create(session=over, key="discord:1", name="Ann")
    bookmarks.take(over, "hers", by=Author("Ann", key="discord:1"), at_ms=1)
    bookmarks.take(over, "his", by=Author("Bob", key="discord:2"), at_ms=2)
    (event, _) = events.replay(over.pk, after=0)
    assert event.data["participant"] == str(person.public_id)
    bookmarks.forget_of(person)
    assert [row.text for row in Bookmark.objects.all()] == ["his"]


def test_who_was_never_heard_is_forgotten_by_their_key(over: VoiceSession) -> None:
    before = timezone.now()
    bookmarks.take(over, "old", by=Author("Ann", key="discord:1"), at_ms=1, now=before)
    later = before + timedelta(seconds=1)
    bookmarks.take(over, "new", by=Author("Ann", key="discord:1"), at_ms=2, now=later)
    assert bookmarks.forget_author("discord:1", before=before) == 1
    assert [row.text for row in Bookmark.objects.all()] == ["new"]


def test_a_session_takes_its_notes_along(over: VoiceSession) -> None:
    bookmarks.take(over, "gone", by=Author(), at_ms=1)
    over.delete()
    assert not Bookmark.objects.exists()


def test_of_what_is_not_kept_no_note_is(talk: VoiceSession) -> None:
    VoiceSession.objects.filter(pk=talk.pk).update(record=False)
    row = bookmarks.take(talk, "for a while", by=Author())
    VoiceSession.objects.filter(pk=talk.pk).update(
        state=State.FINISHING, ended_at=timezone.now()
    )
    talk.refresh_from_db()
    for act in (
        lambda: bookmarks.take(talk, "late", by=Author(), at_ms=1),
        lambda: bookmarks.change(
            bookmarks.find(talk, row.public_id), text="x", at_ms=1
        ),
    ):
        with pytest.raises(VoiceError) as told:
            act()
        assert told.value.code == "not_kept"
    bookmarks.forget_session(talk)
    assert bookmarks.of_session(talk) == []


def test_a_session_takes_so_many_and_no_more(
    over: VoiceSession, talk: VoiceSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookmarks, "MOST", 2)
    first, _ = (bookmarks.take(over, "here", by=Author(), at_ms=n) for n in range(2))
    with pytest.raises(VoiceError) as caught:
        bookmarks.take(over, "one more", by=Author(), at_ms=9)
    assert (caught.value.code, caught.value.status) == ("too_many", 409)
    bookmarks.change(first, text="there", at_ms=None)
    bookmarks.take(talk, "elsewhere", by=Author())
    bookmarks.delete(first)
    bookmarks.take(over, "in its place", by=Author(), at_ms=9)
