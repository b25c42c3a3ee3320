"""Links that show one session: to be read and heard, until they are over."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Generator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings
from scene import Clock, a_moderator, a_session, a_user

from sessions import access, keys, shares, sounds
from sessions.models import (
    Participant,
    Recording,
    Share,
    State,
    Tier,
    VoiceSession,
)
from sessions.shares import NotSharedError
from sessions.sounds import Watch, WatchedFlow
from sessions.storage import storage
from sessions.streaming import Flow

pytestmark = pytest.mark.django_db

SOUND = bytes(range(256)) * 4


@pytest.fixture
def ada() -> User:
    return a_user("ada")


@pytest.fixture
def talk(ada: User) -> VoiceSession:
    return a_session(State.READY, title="Monday", owner=ada)


@pytest.fixture
def token(talk: VoiceSession, ada: User) -> str:
    return shares.token_of(shares.share(talk, days=7, by=ada))


def address(talk: VoiceSession, more: str = "") -> str:
    return f"/api/sessions/{talk.public_id}{more}"


def share(client: Client, talk: VoiceSession, days: object) -> Any:
    body = json.dumps({"days": days})
    return client.post(address(talk, "/shares"), body, "application/json")


def test_the_owner_makes_a_link_lists_it_and_takes_it_back(
    client: Client, talk: VoiceSession, ada: User
) -> None:
    client.force_login(ada)
    answer = share(client, talk, 30)
    assert answer.status_code == 201
    made = answer.json()
    assert made["url"].startswith("http://testserver/shared/")
    assert set(made) == {"id", "url", "expires_at", "created_at"}
    assert client.get(address(talk, "/shares")).json() == [made]
    assert client.delete(address(talk, f"/shares/{made['id']}")).status_code == 204
    assert client.get(address(talk, "/shares")).json() == []
    assert client.delete(address(talk, f"/shares/{made['id']}")).status_code == 204
    assert client.delete(address(talk, "/shares/none")).status_code == 404


def test_it_lasts_as_long_as_was_said(talk: VoiceSession, ada: User) -> None:
    now = timezone.now()
    token = shares.token_of(shares.share(talk, days=2, by=ada, now=now))
    assert shares.find(token, now=now + timedelta(hours=47)).session == talk
    with pytest.raises(NotSharedError) as told:
        shares.find(token, now=now + timedelta(hours=48))
    assert told.value.status == 410


@pytest.mark.parametrize("days", [0, -1, 366, "many", None])
def test_days_that_are_none_are_refused(
    client: Client, talk: VoiceSession, ada: User, days: object
) -> None:
    client.force_login(ada)
    assert share(client, talk, days).status_code == 422


def test_only_who_manages_shares(client: Client, talk: VoiceSession) -> None:
    assert share(client, talk, 7).status_code == 401
    bearer = {"Authorization": f"Bearer {access.token_of(talk)}"}
    assert client.get(address(talk, "/shares"), headers=bearer).status_code == 403
    client.force_login(a_user("eve"))
    assert share(client, talk, 7).status_code in (403, 404)
    client.force_login(a_moderator("mo"))
    assert share(client, talk, 7).status_code == 201


def test_a_token_that_was_changed_opens_nothing(token: str) -> None:
    body, _, mac = token.partition(":")
    for bad in (f"{body}x:{mac}", f"{body}:{mac[:-1]}", f":{mac}", "", "a:b", "\x00:"):
        with pytest.raises(NotSharedError) as told:
            shares.find(bad)
        assert told.value.status == 404
        assert shares.session_of(bad) is None


def test_a_session_that_is_gone_takes_its_links_along(
    talk: VoiceSession, token: str
) -> None:
    VoiceSession.objects.filter(pk=talk.pk).update(state=State.DELETED)
    assert shares.session_of(token) is None
    talk.delete()
    assert shares.session_of(token) is None
    assert not Share.objects.exists()


READ = ("/transcript.json", "/transcript.vtt", "/recordings")


@pytest.mark.parametrize("what", READ)
@pytest.mark.parametrize("by", ["address", "header"])
def test_the_link_reads_what_its_page_shows(
    client: Client, talk: VoiceSession, token: str, what: str, by: str
) -> None:
    headers = {"Authorization": f"Bearer {token}"} if by == "header" else {}
    query = {"token": token} if by == "address" else {}
    where = address(talk, what)
    assert client.get(where, query, headers=headers).status_code == 200
    other = a_session(State.READY)
    where = address(other, what)
    assert client.get(where, query, headers=headers).status_code in (403, 404)
    Share.objects.update(revoked_at=timezone.now())
    where = address(talk, what)
    assert client.get(where, query, headers=headers).status_code in (403, 404)


@pytest.mark.parametrize(
    ("method", "what"),
    [
        ("GET", ""),
        ("GET", "/events"),
        ("GET", "/tracks.zip"),
        ("GET", "/bookmarks"),
        ("GET", "/shares"),
        ("POST", "/end"),
        ("POST", "/shares"),
        ("POST", "/bookmarks"),
        ("PATCH", "/participants/{person}"),
        ("POST", "/participants/{person}/merge"),
        ("PATCH", "/utterances/{person}"),
        ("GET", "/utterances/{person}/history"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_the_link_does_and_opens_nothing_else(
    client: Client, talk: VoiceSession, token: str, method: str, what: str
) -> None:
    person = Participant.objects.create(session=talk, key="a", name="Ann")
    where = address(talk, what.format(person=person.public_id))
    body = json.dumps({"days": 1, "text": "x", "name": "x", "into": "x", "at_ms": 1})
    headers = {"Authorization": f"Bearer {token}"}
    answer = client.generic(method, where, body, "application/json", headers=headers)
    assert answer.status_code in (403, 404)
    page = client.get(f"/session/{talk.public_id}", {"token": token})
    assert page.status_code in (403, 404)


# --- its sound ------------------------------------------------------------------------


@pytest.fixture
def master(talk: VoiceSession, tmp_path: Path, settings: Settings) -> Recording:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    path = tmp_path / "master"
    path.write_bytes(SOUND)
    key = keys.master_key(talk.public_id)
    storage().put(key, path, content_type="audio/mpeg")
    return Recording.objects.create(
        session=talk,
        tier=Tier.MASTER,
        key=key,
        size=len(SOUND),
        state=Recording.State.STORED,
    )


def body_of(answer: Any) -> bytes:
    async def gather() -> bytes:
        return b"".join([piece async for piece in answer.streaming_content])

    pieces = answer.streaming_content
    if isinstance(pieces, AsyncIterator):
        return async_to_sync(gather)()
    return b"".join(pieces)


@pytest.mark.django_db(transaction=True)
def test_the_sound_is_played_part_by_part_until_it_is_taken_back(
    client: Client, talk: VoiceSession, token: str, master: Recording
) -> None:
    found = client.get(address(talk, "/download"), {"token": token})
    assert found.status_code == 302
    where = found["Location"]
    assert where == sounds.shared(token, None)
    whole = client.get(where)
    assert (whole.status_code, body_of(whole)) == (200, SOUND)
    part = client.get(where, headers={"Range": "bytes=100-199"})
    assert (part.status_code, body_of(part)) == (206, SOUND[100:200])
    assert part["Content-Range"] == f"bytes 100-199/{len(SOUND)}"
    assert client.get(where, headers={"Range": "bytes=9999-"}).status_code == 416
    assert body_of(client.head(where)) == b""
    Share.objects.update(revoked_at=timezone.now())
    assert client.get(where).status_code == 410


@pytest.mark.django_db(transaction=True)
def test_of_recordings_only_sound_of_this_session_is_played(
    client: Client, token: str, master: Recording
) -> None:
    other = Recording.objects.create(
        session=a_session(State.READY), tier=Tier.MASTER, key="other", state="stored"
    )
    text = Recording.objects.create(
        session=master.session, tier=Tier.TRANSCRIPT, key="text", state="stored"
    )
    assert client.get(sounds.shared(token, master.pk)).status_code == 200
    for pk in (other.pk, text.pk, 999):
        assert client.get(sounds.shared(token, pk)).status_code == 404
    for wrong in ("x", "-1", "9" * 40):
        where = f"{sounds.shared(token, None)}?recording={wrong}"
        assert client.get(where).status_code == 404
    assert client.get("/shared/no:thing/sound").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_sound_that_is_being_sent_breaks_off_soon_after(
    token: str, master: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sounds, "PIECE", 100)
    clock = Clock()

    async def play() -> list[bytes]:
        heard = []
        watch = Watch(token, clock=clock)
        async for piece in sounds._pieces(watch, master.key, 0, len(SOUND)):
            heard.append(piece)
            await Share.objects.aupdate(revoked_at=timezone.now())
            clock.passes(sounds.LOOK_EVERY_S / 2)
        return heard

    assert async_to_sync(play)() == [SOUND[:100], SOUND[100:200], SOUND[200:300]]


@pytest.mark.django_db(transaction=True)
def test_a_track_that_is_being_made_breaks_off_too(token: str) -> None:
    clock, closed = Clock(), []

    def made() -> Generator[bytes, None, None]:
        try:
            yield from [b"one", b"two", b"three"]
        finally:
            closed.append(True)

    async def play() -> list[bytes]:
        heard = []
        async for piece in WatchedFlow(Flow(made()), Watch(token, clock=clock)):
            heard.append(piece)
            await Share.objects.aupdate(revoked_at=timezone.now())
            clock.passes(sounds.LOOK_EVERY_S + 1)
        return heard

    assert async_to_sync(play)() == [b"one"]
    assert closed
