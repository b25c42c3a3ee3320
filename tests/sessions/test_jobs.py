"""Jobs: each item once, what fails is told, and a dead worker loses nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from sessions import jobs
from sessions.errors import VoiceError
from sessions.models import Job

pytestmark = pytest.mark.django_db


class Works:
    """What is done to items, and how it goes."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.refuses: set[Any] = set()
        self.breaks: set[Any] = set()
        self.takes: dict[Any, int] = {}
        self.finds: dict[Any, list[Any]] = {}

    def __call__(self, item: Any, options: dict[str, Any]) -> jobs.Outcome:
        self.asked.append(item)
        if item in self.refuses:
            raise VoiceError("refused", f"Not {item}.")
        if item in self.breaks:
            raise RuntimeError("a secret of the machine")
        if self.takes.get(item, 0):
            self.takes[item] -= 1
            return False
        return self.finds.get(item, True)


works = Works()


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Works:
    global works
    works = Works()
    monkeypatch.setitem(jobs.KINDS, "end", f"{__name__}.works")
    monkeypatch.setattr(jobs, "import_string", lambda _: works)
    return works


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    rung: list[int] = []
    monkeypatch.setattr(jobs, "ring", rung.append)
    return rung


def now(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def rested(job: Job) -> None:
    """Time passes."""
    past = timezone.now() - timedelta(minutes=5)
    Job.objects.filter(pk=job.pk).update(lease_until=past, rung_at=past)


def test_each_item_is_done_once_and_counted(work: Works) -> None:
    job = jobs.ask("end", [1, 2, 3])
    assert jobs.work(job.pk)
    assert work.asked == [1, 2, 3]
    assert (now(job).state, now(job).done) == (Job.State.DONE, 3)
    assert jobs.seen(now(job)).percent == 100
    assert not jobs.work(job.pk)
    assert work.asked == [1, 2, 3]


def test_what_is_refused_is_told_and_stops_no_other(work: Works) -> None:
    work.refuses, work.breaks = {1}, {2}
    job = jobs.ask("end", [1, 2, 3])
    assert jobs.work(job.pk)
    assert now(job).done == 1
    assert now(job).failures == [
        [0, "Not 1."],
        [1, "It failed by a fault of ours (RuntimeError)."],
    ]


def test_what_is_not_done_yet_is_asked_for_again(work: Works) -> None:
    work.takes = {1: 2}
    job = jobs.ask("end", [1, 2])
    assert not jobs.work(job.pk)
    assert (now(job).state, now(job).done, now(job).waiting) == ("waiting", 1, [0])
    assert not jobs.work(job.pk), "it rests for a moment"
    rested(job)
    assert not jobs.work(job.pk)
    rested(job)
    assert jobs.work(job.pk)
    assert work.asked == [1, 2, 1, 1]
    assert now(job).done == 2


def test_what_a_look_finds_is_kept(work: Works) -> None:
    work.finds = {1: ["a"], 2: ["b", "c"]}
    job = jobs.ask("end", [1, 2])
    assert jobs.work(job.pk)
    assert now(job).found == ["a", "b", "c"]


def test_another_worker_goes_on_where_a_dead_one_was(work: Works) -> None:
    job = jobs.ask("end", [1, 2, 3])
    Job.objects.filter(pk=job.pk).update(
        state="running", claimed_by="dead", next=1, done=1, deaths=1,
        lease_until=timezone.now() + timedelta(seconds=30),
    )  # fmt: skip
    assert not jobs.work(job.pk), "its lease still runs"
    rested(job)
    assert jobs.work(job.pk)
    assert work.asked == [2, 3]
    assert now(job).done == 3


def test_an_item_that_kills_its_workers_is_given_up(work: Works) -> None:
    job = jobs.ask("end", [1, 2])
    Job.objects.filter(pk=job.pk).update(deaths=jobs.DEATHS_MAX)
    assert jobs.work(job.pk)
    assert work.asked == [2]
    assert [index for index, _ in now(job).failures] == [0]


def test_nothing_more_is_begun_once_it_is_cancelled(work: Works) -> None:
    job = jobs.ask("end", [1, 2])
    assert jobs.cancel(job.pk)
    assert not jobs.work(job.pk)
    assert work.asked == []
    assert not jobs.cancel(job.pk), "once is enough"


def test_one_that_is_cancelled_meanwhile_stops_behind_the_item_at_hand(
    work: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = jobs.ask("end", [1, 2, 3])

    def cancelling(item: Any, options: dict[str, Any]) -> bool:
        work.asked.append(item)
        jobs.cancel(job.pk)
        return True

    monkeypatch.setattr(jobs, "import_string", lambda _: cancelling)
    assert not jobs.work(job.pk)
    assert work.asked == [1]
    assert now(job).state == Job.State.CANCELLED


def test_a_long_job_lets_others_have_a_turn(work: Works, rings: list[int]) -> None:
    job = jobs.ask("end", [1, 2, 3])
    ticks = iter([0.0, 10.0, 100.0])
    assert not jobs.work(job.pk, clock=lambda: next(ticks))
    assert work.asked == [1, 2]
    assert rings[-1] == job.pk
    assert jobs.work(job.pk)
    assert work.asked == [1, 2, 3]


def test_a_lost_ring_is_repeated_and_not_too_often(
    work: Works, rings: list[int]
) -> None:
    job = jobs.ask("end", [1])
    rings.clear()
    assert jobs.sweep(now=timezone.now()) == [], "it was rung for just now"
    later = timezone.now() + timedelta(minutes=1)
    assert jobs.sweep(now=later) == [job.pk]
    assert jobs.sweep(now=later + timedelta(seconds=2)) == []
    assert rings == [job.pk]


def test_a_job_whose_worker_died_is_rung_for(work: Works, rings: list[int]) -> None:
    job = jobs.ask("end", [1])
    at = timezone.now()
    Job.objects.filter(pk=job.pk).update(
        state="running", claimed_by="dead", lease_until=at + timedelta(seconds=60)
    )
    assert jobs.sweep(now=at + timedelta(seconds=30)) == []
    assert jobs.sweep(now=at + timedelta(seconds=61)) == [job.pk]


def test_too_many_at_once_are_refused() -> None:
    with pytest.raises(jobs.TooManyError, match="at most 5000"):
        jobs.ask("end", range(jobs.ITEMS_MAX + 1))
