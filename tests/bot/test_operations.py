"""Operations: what the installation does, in numbers; cheap however much there is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from scene import a_session

from bot import operations
from bot.admin.charts import drawn
from sessions.models import Participant, Recording, State, Tier
from transcripts.models import Utterance

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


def a_line(at: datetime, *, lag_s: float = 2.0, **fields: Any) -> Utterance:
    session = a_session(State.READY)
    person = Participant.objects.create(session=session, key="a", name="Ann")
    return Utterance.objects.create(
        session=session,
        participant=person,
        start=0,
        end=48_000,
        audio_start=0,
        state=fields.pop("state", "done"),
        created_at=at,
        finished_at=at + timedelta(seconds=lag_s),
        **fields,
    )


def charts(now: datetime) -> dict[str, operations.Chart]:
    return {chart.title: chart for chart in operations.charts(now=now)}


def test_the_last_day_is_drawn_by_the_hour(either_database: None) -> None:
    now = timezone.now().replace(minute=30)
    for hours, lag_s in ((30, 9.0), (23, 1.0), (2, 4.0), (2, 6.0), (0, 2.0)):
        a_line(now - hours * HOUR, lag_s=lag_s)
    found = charts(now)
    lines = found["Lines written"].values
    assert (lines[0], lines[-3], lines[-1], sum(lines)) == (1, 2, 1, 4)
    lag = found["Lag of lines"].values
    assert (lag[0], lag[-3], lag[-1]) == (1.0, 5.0, 2.0)
    assert found["Sessions begun"].total == 5


def test_minutes_and_failures_are_counted(either_database: None) -> None:
    now = timezone.now().replace(minute=30)
    session = a_session(State.FAILED, ended_at=now - HOUR)
    for number, at in enumerate((now, now - HOUR, now - 40 * HOUR)):
        Recording.objects.create(
            session=session,
            tier=Tier.CHUNK,
            key=str(number),
            duration=90 * 48_000,
            size=1000,
            created_at=at,
            state="failed",
        )
    a_line(now, state="failed")
    assert charts(now)["Recorded"].total == 3.0
    assert charts(now)["Sessions failed"].values[-2] == 1
    faults = {one.name: one.count for one in operations.faults(now=now)}
    assert faults == {
        "Sessions that failed": 1,
        "Lines given up": 1,
        "Files given up": 2,
        "Tasks that broke": 0,
    }
    (shelf,) = operations.shelves()
    assert (shelf.tier, shelf.files, shelf.bytes, shelf.failed) == ("chunk", 3, 3000, 3)


@pytest.mark.django_db
def test_old_lines_are_not_looked_at() -> None:
    """The number of the first row of the last day is found by halving."""
    now = timezone.now()
    old = [a_line(now - timedelta(days=9 - day)) for day in range(8)]
    new = a_line(now)
    first = operations._before(Utterance, now - timedelta(days=1))
    assert old[-1].pk <= first < new.pk
    Utterance.objects.all().delete()
    assert operations._before(Utterance, now) == 0


@pytest.mark.django_db
def test_the_page_asks_the_database_no_more_when_there_is_more(
    admin_client: Client,
) -> None:
    def asked() -> int:
        cache.clear()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert admin_client.get(reverse("admin:operations")).status_code == 200
        halving = [q for q in queries if ">= " in q["sql"] and "LIMIT 1" in q["sql"]]
        return len(queries) - len(halving)

    now = timezone.now()
    a_line(now)
    few = asked()
    for _ in range(20):
        a_line(now)
    assert asked() == few


@pytest.mark.django_db
def test_the_page_shows_charts_without_a_style_or_a_script_of_its_own(
    admin_client: Client,
) -> None:
    a_line(timezone.now())
    text = admin_client.get(reverse("admin:operations")).content.decode()
    content = text[text.index('<div class="parley-grid">') :]
    content = content[: content.index("Look again")]
    assert content.count("<svg") == 5
    assert "<rect" in content
    assert "style=" not in content
    assert "<script" not in content
    assert "Bot" in content


def test_the_highest_bar_fills_the_box() -> None:
    values = (0.0,) * 22 + (2.0, 4.0)
    chart = operations.Chart("Lines", "", values, datetime(2026, 5, 4, 13))  # noqa: DTZ001
    made = drawn(chart)
    assert [bar.height for bar in made.bars[-3:]] == [0.0, 44.0, 88.0]
    assert made.bars[-1].told == "12:00: 4"
    assert made.summary == "6 in 24 hours, at most 4 in one"
    empty = drawn(operations.Chart("Lines", "", (0.0,) * 24, chart.first))
    assert {bar.height for bar in empty.bars} == {0.0}


class Cluster:
    """What a cluster of workers says of itself."""

    pid, host, workers = 7, "here", (8, 9)

    def __init__(self, status: str) -> None:
        self.status = status


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("running", "told", "is_well"),
    [
        ([], "silent", False),
        ([Cluster("Idle")], "2, idle", True),
        ([Cluster("Stopping")], "2, stopping", False),
    ],
)
def test_workers_that_are_silent_or_stopping_are_pointed_out(
    running: list[Any], told: str, is_well: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations.Stat, "get_all", lambda: running)
    signs = operations.signs(now=timezone.now())
    (workers,) = (one for one in signs if one.name.startswith("Workers"))
    assert (workers.value, workers.is_well) == (told, is_well)
