"""The page a share's link leads to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from scene import a_session, a_user
from spoken_lines import said

from sessions import bookmarks, shares
from sessions.bookmarks import Author
from sessions.models import Share, State, VoiceSession
from transcripts import corrections

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return a_user("the-owner")


@pytest.fixture
def talk(ada: User) -> VoiceSession:
    talk = a_session(State.READY, title="Monday", owner=ada)
    said(talk, "good <morning>", at_s=62)
    return talk


@pytest.fixture
def token(talk: VoiceSession, ada: User) -> str:
    return shares.token_of(shares.share(talk, days=7, by=ada))


def test_it_is_the_page_of_a_session_that_is_over_to_be_read(
    client: Client, talk: VoiceSession, token: str
) -> None:
    page = client.get(f"/shared/{token}")
    text = page.content.decode()
    assert page.status_code == 200
    for shown in ("Monday", "4 May 2026", "Ada"):
        assert shown in text
    config = page.context["config"]
    assert (config.read_only, config.may_edit, config.may_share) == (True, False, False)
    said_there = f"/api/sessions/{talk.public_id}/transcript.txt?token={token}"
    assert "good <morning>" in client.get(said_there).content.decode()
    assert "the-owner" not in text
    for control in ("share-open", "tracks.zip", "notes-add"):
        assert control not in text


def test_notes_are_not_for_guests(
    client: Client, talk: VoiceSession, token: str, ada: User
) -> None:
    by = Author("the-owner", ada)
    bookmarks.take(talk, "Bob sounds tired", by=by, at_ms=1000)
    minutes = f"/api/sessions/{talk.public_id}/transcript.md?token={token}"
    text = client.get(minutes).content.decode()
    assert "morning" in text
    assert "tired" not in text
    assert "the-owner" not in text
    client.force_login(ada)
    assert "tired" in client.get(minutes.split("?")[0]).content.decode()


def test_no_engine_lists_it_and_no_other_site_learns_of_it(
    client: Client, token: str
) -> None:
    page = client.get(f"/shared/{token}")
    assert page["Referrer-Policy"] == "no-referrer"
    assert "noindex" in page["X-Robots-Tag"]
    assert "no-store" in page["Cache-Control"]
    assert b'name="robots" content="noindex"' in page.content


def test_a_link_that_is_over_says_the_same_as_one_that_never_was(
    client: Client, talk: VoiceSession, token: str
) -> None:
    never = client.get("/shared/no:thing")
    assert never.status_code == 404
    now = timezone.now()
    Share.objects.update(expires_at=now - timedelta(seconds=1))
    expired = client.get(f"/shared/{token}")
    Share.objects.update(expires_at=now + timedelta(days=1), revoked_at=now)
    revoked = client.get(f"/shared/{token}")
    talk.delete()
    gone = client.get(f"/shared/{token}")
    assert (expired.status_code, revoked.status_code) == (410, 410)
    assert gone.status_code == 404
    pages = {page.content for page in (never, expired, revoked, gone)}
    assert len(pages) == 1
    assert b"This link shows nothing" in pages.pop()


def test_what_was_not_recorded_has_no_player(
    client: Client, talk: VoiceSession, token: str
) -> None:
    VoiceSession.objects.filter(pk=talk.pk).update(record=False)
    assert b"<audio" not in client.get(f"/shared/{token}").content


def test_what_was_corrected_away_is_not_shown_to_guests(
    client: Client, talk: VoiceSession, ada: User, token: str
) -> None:
    line = talk.utterances.get()
    corrections.correct(talk, line.public_id, "good evening", by=ada)
    where = f"/api/sessions/{talk.public_id}/transcript.json"
    shared = client.get(where, {"token": token}).content.decode()
    assert "good evening" in shared
    assert "morning" not in shared
    assert "morning" not in client.get(f"/shared/{token}").content.decode()
    client.force_login(ada)
    assert "morning" in client.get(where).content.decode()


def test_it_costs_the_same_however_much_was_said(
    client: Client, talk: VoiceSession, ada: User, token: str
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            client.get(f"/shared/{token}")
        return len(asked)

    before = queries()
    for n in range(10):
        line = said(talk, f"line {n}", at_s=n, name=f"P{n}")
        corrections.correct(talk, line.public_id, "better", by=ada)
    assert queries() == before
