"""The dashboard without a browser: what is live, the list, and who is shown what."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from scene import a_session, a_user
from spoken_lines import said

from sessions.livecards import MOST
from sessions.models import Participant, State

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
    answer = browser.get("/", query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_what_is_live_stands_above_all_else(browser: Client, ada: User) -> None:
    talk = a_session(owner=ada, title="Right now")
    Participant.objects.create(session=talk, key="b", name="Ben", held_by="c")
    text = page(browser)
    assert f'data-session="{talk.public_id}"' in text
    assert "Nobody has a microphone on" in text  # in the blank card
    assert text.index("Right now") < text.index("All sessions")


def test_nobody_sees_that_others_are_talking(browser: Client) -> None:
    talk = a_session(owner=a_user("zoe"), title="Hers")
    assert str(talk.public_id) not in page(browser)
    assert browser.get("/live").json() == {
        "type": "cards",
        "ids": [],
        "more": 0,
        "cards": [],
    }


def test_whoever_is_nobody_is_told_nothing() -> None:
    answer = Client().get("/live")
    assert answer.status_code == 403
    assert answer.json()["code"] == "not_allowed"


def test_the_board_has_an_end_and_says_what_is_behind_it(
    browser: Client, ada: User
) -> None:
    for _ in range(MOST + 3):
        a_session(owner=ada)
    told = browser.get("/live").json()
    assert len(told["cards"]) == len(told["ids"]) == MOST
    assert told["more"] == 3


def test_a_card_costs_no_question_of_its_own(browser: Client, ada: User) -> None:
    costs = []
    for _ in range(2):
        for _ in range(5):
            talk = a_session(owner=ada)
            Participant.objects.create(session=talk, key="b", name="B", held_by="c")
        with CaptureQueriesContext(connection) as questions:
            page(browser)
        costs.append(len(questions))
    assert costs[0] == costs[1] <= 11


def test_words_are_found_in_titles_and_in_what_was_said(
    browser: Client, ada: User
) -> None:
    talk = a_session(State.READY, owner=ada, title="Planning")
    line = said(talk, "we open the window first", at_s=65)
    a_session(State.READY, owner=ada, title="Window cleaning")
    text = page(browser, q="window")
    assert f"/session/{talk.public_id}#u-{line.public_id}" in text
    assert "<mark>window</mark>" in text
    assert "Window cleaning" in text


def test_filters_hold_for_what_was_said_too(browser: Client, ada: User) -> None:
    for source in ("phone", "browser"):
        talk = a_session(State.READY, owner=ada, title=f"by {source}")
        type(talk).objects.filter(pk=talk.pk).update(source=source)
        said(talk, "we open the window first")
    text = page(browser, q="window", source="phone")
    assert "by phone" in text
    assert "by browser" not in text


def test_nobody_finds_words_of_others(browser: Client) -> None:
    said(a_session(State.READY, owner=a_user("zoe")), "a secret of theirs")
    assert "of theirs" not in page(browser, q="secret")
    assert "of theirs" not in page(browser, q="secret", source="browser")


def test_a_page_that_is_open_gets_its_list_alone(browser: Client, ada: User) -> None:
    a_session(State.READY, owner=ada, title="Planning")
    asks = {"HX-Request": "true", "HX-Target": "list"}
    text = browser.get("/", {"q": "plan"}, headers=asks).content.decode()
    assert "Planning" in text
    assert "<html" not in text
    back = asks | {"HX-History-Restore-Request": "true"}
    assert "<html" in browser.get("/", headers=back).content.decode()


def test_it_says_what_it_did_not_understand(browser: Client, ada: User) -> None:
    a_session(State.READY, owner=ada, title="Planning")
    text = page(browser, source="<b>pigeon</b>", before="nonsense")
    assert "There is no source" in text
    assert "<b>pigeon" not in text
    assert "Planning" in text


def test_an_empty_list_says_what_to_do(browser: Client) -> None:
    assert "None yet." in page(browser)
    assert "No session you may see is like that" in page(browser, q="xyzzy")
    assert "There is nothing older" in page(browser, before="1-1")


def test_a_title_cannot_bring_a_script(browser: Client, ada: User) -> None:
    a_session(owner=ada, title="</template><script>alert(1)</script>")
    assert "<script>alert" not in page(browser)
