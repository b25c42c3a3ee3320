"""The list of sessions: what is asked for is found, what is asked wrongly is said."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from scene import a_moderator, a_session, a_user

from sessions import listing
from sessions.listing import Filters, Page
from sessions.models import Participant, Recording, State, Tier, VoiceSession

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


@pytest.fixture
def ada() -> User:
    return a_user("ada")


def talk(owner: User, title: str, *people: str, **fields: Any) -> VoiceSession:
    state = fields.pop("state", State.READY)
    made = a_session(state, owner=owner, title=title)
    for name in people:
        Participant.objects.create(session=made, key=name, name=name)
    VoiceSession.objects.filter(pk=made.pk).update(**fields)
    return made


def titles(page: Page) -> list[str]:
    return [row.session.title for row in page.rows]


def asked(user: User, **query: str) -> list[str]:
    given = {name.rstrip("_"): value for name, value in query.items()}
    return titles(listing.page(user, listing.parse(given)))


def test_it_lists_the_newest_first_and_only_ones_own(ada: User) -> None:
    talk(ada, "old", created_at=DAY)
    talk(ada, "new", created_at=DAY + timedelta(days=1))
    talk(a_user("zoe"), "hers")
    assert asked(ada) == ["new", "old"]


def test_moderators_list_everything(ada: User) -> None:
    talk(ada, "mine")
    assert asked(a_moderator("mod")) == ["mine"]


def test_each_filter_narrows_the_list(ada: User) -> None:
    talk(ada, "call", "Cleo", source="phone", language="de", created_at=DAY)
    talk(ada, "live", "Ben", state=State.ACTIVE, language="en")
    assert asked(ada, source="phone") == ["call"]
    assert asked(ada, state="live") == ["live"]
    assert asked(ada, language="de") == ["call"]
    assert asked(ada, person="cle") == ["call"]
    assert asked(ada, to="2026-03-01") == ["call"]
    assert asked(ada, from_="2026-03-02") == ["live"]
    assert asked(ada, q="CAL") == ["call"]
    assert asked(ada, source="phone", person="ben") == []


def test_both_days_belong_to_what_is_asked_for(ada: User) -> None:
    talk(ada, "morning", created_at=datetime(2026, 3, 1, 0, 0, tzinfo=UTC))
    talk(ada, "night", created_at=datetime(2026, 3, 2, 23, 59, tzinfo=UTC))
    both = {"from_": "2026-03-01", "to": "2026-03-02"}
    assert asked(ada, **both) == ["night", "morning"]


def test_a_language_that_was_heard_counts_as_one_that_was_chosen(ada: User) -> None:
    made = talk(ada, "heard", "Ben")
    Participant.objects.filter(session=made).update(language="fr")
    assert asked(ada, language="fr") == ["heard"]
    (row,) = listing.page(ada, Filters()).rows
    assert row.language == "fr"


@pytest.mark.parametrize(
    "query",
    [
        {"source": "pigeon"},
        {"state": "asleep"},
        {"language": "klingon"},
        {"from": "yesterday"},
        {"to": "2026-13-01"},
    ],
)
def test_nonsense_is_left_out_with_a_word(ada: User, query: dict[str, str]) -> None:
    filters = listing.parse(query)
    assert len(filters.problems) == 1
    assert not filters.is_any


def test_days_the_wrong_way_round_are_exchanged() -> None:
    filters = listing.parse({"from": "2026-03-02", "to": "2026-03-01"})
    assert (filters.since, filters.until) == (date(2026, 3, 1), date(2026, 3, 2))
    assert filters.problems


@pytest.mark.parametrize("days", [{"to": "9999-12-31"}, {"from": "0001-01-01"}])
def test_the_ends_of_time_are_days_too(ada: User, days: dict[str, str]) -> None:
    talk(ada, "between")
    filters = listing.parse(days)
    assert titles(listing.page(ada, filters)) == ["between"]


def test_the_address_says_what_was_understood() -> None:
    filters = listing.parse({"q": "a b", "state": "ready", "source": "x", "to": ""})
    assert filters.query == "q=a+b&state=ready"
    assert listing.parse({"q": "a b", "state": "ready"}).query == filters.query


def test_it_goes_on_where_a_page_ends(ada: User) -> None:
    for number in range(listing.PER_PAGE + 3):
        # Many at one moment: their numbers tell them apart.
        talk(ada, f"{number}", created_at=DAY + timedelta(minutes=number // 4))
    first = listing.page(ada, Filters())
    second = listing.page(ada, Filters(), before=first.following)
    assert titles(first) + titles(second) == [
        f"{number}" for number in reversed(range(listing.PER_PAGE + 3))
    ]
    assert second.following == ""
    assert not second.is_first


@pytest.mark.parametrize("before", ["x", "1", "-1-1", "9" * 17 + "-1", "１-１", "1-"])
def test_a_place_that_is_none_is_the_first_page(ada: User, before: str) -> None:
    talk(ada, "mine")
    assert titles(listing.page(ada, Filters(), before=before)) == ["mine"]


def test_a_row_says_who_how_long_and_what_is_kept(ada: User) -> None:
    people = ["Ada Lovelace", "Ben", "Cleo", "Dora", "Emil", "Ada Lovelace "]
    made = talk(ada, "plan", *people, language="en")
    Recording.objects.create(session=made, tier=Tier.MASTER, key="m")
    (row,) = listing.page(ada, Filters()).rows
    assert [face.initials for face in row.people] == ["AL", "B", "C", "D"]
    assert (row.more_people, row.lasted, row.is_kept) == (2, "5 min", True)


def test_the_row_of_one_that_goes_on_tells_no_length(ada: User) -> None:
    talk(ada, "plan", state=State.ACTIVE, ended_at=None)
    (row,) = listing.page(ada, Filters()).rows
    assert (row.state, row.lasted) == (State.ACTIVE, "")


def test_a_text_alone_is_no_kept_sound(ada: User) -> None:
    made = talk(ada, "plan")
    Recording.objects.create(session=made, tier=Tier.TRANSCRIPT, key="t")
    (row,) = listing.page(ada, Filters()).rows
    assert not row.is_kept


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ],
)
def test_it_tells_a_time_as_people_do(seconds: int, words: str) -> None:
    assert listing.lasted(timedelta(seconds=seconds)) == words


def test_many_rows_cost_as_many_questions_as_one(ada: User) -> None:
    filters = listing.parse({"q": "t", "person": "b", "language": "en"})
    costs = []
    for _ in range(2):
        for number in range(6):
            talk(ada, f"talk {number}", "Ben", "Cleo", language="en")
        with CaptureQueriesContext(connection) as questions:
            listing.page(ada, filters)
        costs.append(len(questions))
    # The first time their permissions are read, too.
    assert costs[1] <= costs[0] <= 5
