"""The page of the search: what one may see, page by page; hits lead to their lines."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from scene import a_moderator, a_session, a_user
from spoken_lines import said

from sessions.models import State, VoiceSession
from transcripts.views import PER_PAGE

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return a_user("ada")


@pytest.fixture
def browser(ada: User) -> Client:
    client = Client()
    client.force_login(ada)
    return client


def page(browser: Client, **query: str) -> str:
    response = browser.get("/search", query)
    assert response.status_code == 200
    return response.content.decode()


def test_what_was_said_is_shown_and_leads_to_its_line(
    browser: Client, ada: User
) -> None:
    talk = a_session(State.READY, owner=ada, title="Planning")
    line = said(talk, "we open the <window> first", at_s=65)
    text = page(browser, q="window")
    assert f"/session/{talk.public_id}#u-{line.public_id}" in text
    assert "<mark>window</mark>" in text
    assert "we open the &lt;" in text
    assert "Planning" in text
    assert "12:01 UTC" in text


def test_nobody_finds_what_others_said_among_themselves(browser: Client) -> None:
    said(a_session(State.READY, owner=a_user("zoe")), "a secret of theirs")
    text = page(browser, q="secret")
    assert "of theirs" not in text
    assert "Nobody said that" in text


def test_moderators_find_everything(ada: User) -> None:
    said(a_session(State.READY, owner=ada), "a secret of mine")
    client = Client()
    client.force_login(a_moderator())
    assert "<mark>secret</mark>" in page(client, q="secret")


def test_it_goes_on_with_what_is_older(browser: Client, ada: User) -> None:
    talk = a_session(State.READY, owner=ada)
    for number in range(PER_PAGE + 3):
        said(talk, f"thing number {number}x")
    first = page(browser, q="thing")
    assert first.count("<mark>") == PER_PAGE
    before = first.split("before=")[1].split('"')[0]
    second = page(browser, q="thing", before=before)
    assert second.count("<mark>") == 3
    assert "before=" not in second


def test_without_words_there_is_nothing_and_no_error(browser: Client) -> None:
    for query in ({}, {"q": ""}, {"q": '"'}, {"q": "x", "before": "9" * 40}):
        assert "<mark>" not in page(browser, **query)


def test_whoever_is_nobody_signs_in_first() -> None:
    response = Client().get("/search", {"q": "x"})
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/login?next=/search")


def test_it_asks_as_much_of_the_database_for_many_hits_as_for_one(
    browser: Client, ada: User
) -> None:

    counts = []
    for _ in range(2):
        talk = a_session(State.READY, owner=ada)
        for _ in range(9):
            said(talk, "again and again")
        with CaptureQueriesContext(connection) as asked:
            page(browser, q="again")
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 8


def test_the_filters_of_the_list_hold_here_too(browser: Client, ada: User) -> None:
    for source in ("phone", "browser"):
        talk = a_session(State.READY, owner=ada, title=f"by {source}")
        VoiceSession.objects.filter(pk=talk.pk).update(source=source)
        said(talk, "we open the window first")
    text = page(browser, q="window", source="phone")
    assert "by phone" in text
    assert "by browser" not in text
    assert "Search everywhere" in text


def test_moderators_may_narrow_their_search(ada: User) -> None:
    said(a_session(State.READY, owner=ada, language="de"), "the window")
    said(a_session(State.READY, owner=ada, language="en"), "another window")
    client = Client()
    client.force_login(a_moderator("mod"))
    text = page(client, q="window", language="de")
    assert text.count("<mark>") == 1
    assert "another" not in text
