"""Lists with lines of many sessions: whatever is not one's own is written down."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from scene import a_session, a_user
from spoken_lines import said

from sessions import moderators
from sessions.models import AuditEntry, State, VoiceSession

pytestmark = pytest.mark.django_db
LINES = "admin:transcripts_utterance_changelist"


@pytest.fixture
def mod() -> User:
    moderators.appoint("mod")
    return User.objects.get(username="mod")


@pytest.fixture
def browser(mod: User) -> Client:
    client = Client()
    client.force_login(mod)
    return client


def told() -> set[tuple[str, str]]:
    return {(str(row.session), row.kind) for row in AuditEntry.objects.all()}


def in_lists(*sessions: VoiceSession) -> set[tuple[str, str]]:
    return {(str(one.public_id), "lines") for one in sessions}


def three(mod: User, state: State = State.READY) -> tuple[VoiceSession, VoiceSession]:
    """Two sessions of others; one of the moderator's own leaves no trace."""
    theirs = [a_session(state, owner=a_user(name)) for name in ("ada", "ben")]
    for session in (*theirs, a_session(state, owner=mod)):
        said(session, "the lighthouse keeper")
    return theirs[0], theirs[1]


@pytest.mark.parametrize("path", ["/search?q=lighthouse", "/?q=lighthouse"])
def test_what_a_search_shows(browser: Client, mod: User, path: str) -> None:
    theirs = three(mod)
    assert browser.get(path).status_code == 200
    assert told() == in_lists(*theirs)


@pytest.mark.parametrize("path", ["/", "/live"])
def test_the_board(browser: Client, mod: User, path: str) -> None:
    theirs = three(mod, State.ACTIVE)
    assert browser.get(path).status_code == 200
    assert told() == in_lists(*theirs)


def test_the_admins_list_and_one_of_its_lines(browser: Client, mod: User) -> None:
    ada, ben = three(mod)
    line = said(ben, "goodbye")
    browser.get(reverse("admin:transcripts_utterance_change", args=[line.pk]))
    assert told() == in_lists(ben)
    browser.get(reverse(LINES))
    assert told() == in_lists(ada, ben)


def test_transcripts_as_one_file(browser: Client, mod: User) -> None:
    theirs = three(mod)
    chosen = [one.pk for one in VoiceSession.objects.all()]
    fields = {"action": "do_export", "_selected_action": chosen}
    url = reverse("admin:voice_sessions_voicesession_changelist")
    browser.post(url, fields | {"confirmed": "yes", "suffix": "txt"})
    assert told() == {(str(one.public_id), "transcript") for one in theirs}


def test_who_finds_nothing_is_not_written_down(browser: Client, mod: User) -> None:
    three(mod)
    browser.get("/search?q=nobodysaidthis")
    assert not told()


def test_many_sessions_cost_as_many_questions_as_one(browser: Client) -> None:
    def asked() -> int:
        AuditEntry.objects.all().delete()
        with CaptureQueriesContext(connection) as queries:
            browser.get("/search?q=lighthouse")
        return len(queries)

    said(a_session(State.READY), "the lighthouse keeper")
    asked()
    one = asked()
    for _ in range(8):
        said(a_session(State.READY), "the lighthouse keeper")
    assert asked() == one
    assert len(told()) == 9
