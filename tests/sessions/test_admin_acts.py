"""What moderators do to sessions: asked once more, refused in plain words, logged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from pytest_django.fixtures import Settings
from recorded import Recorded
from scene import a_session

from sessions import finish, jobs, masters, mixing, moderators, recordings
from sessions.acting import ACTS
from sessions.models import Job, Recording, State, Tier, VoiceSession
from sessions.storage import LocalStorage, UnreachableError

pytestmark = pytest.mark.django_db
LIST = "admin:voice_sessions_voicesession_changelist"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    for module in (recordings, finish, mixing, jobs):
        monkeypatch.setattr(module, "ring", lambda _: None)
    return tmp_path


@pytest.fixture
def mo() -> User:
    moderators.appoint("mo")
    return User.objects.get(username="mo")


@pytest.fixture
def client(mo: User) -> Client:
    client = Client()
    client.force_login(mo)
    return client


def ask(client: Client, kind: str, *sessions: VoiceSession, **fields: Any) -> Any:
    ids = [one.pk for one in sessions]
    chosen = {"action": f"do_{kind}", "_selected_action": ids}
    return client.post(reverse(LIST), chosen | fields)


def do(client: Client, kind: str, *sessions: VoiceSession, **fields: Any) -> Job:
    """Confirmed, and done by a worker."""
    answer = ask(client, kind, *sessions, confirmed="yes", **fields)
    assert answer.status_code == 302, answer.content.decode()
    job = Job.objects.get()
    assert answer.url == reverse("admin:voice_sessions_job_see", args=[job.pk])
    assert jobs.work(job.pk)
    job.refresh_from_db()
    return job


def state_of(session: VoiceSession) -> str:
    return VoiceSession.objects.get(pk=session.pk).state


def test_nothing_happens_before_it_is_confirmed(client: Client) -> None:
    session = a_session(title="Monday planning")
    page = ask(client, "end", session).content.decode()
    assert "Monday planning" in page, "which"
    assert ACTS["end"].about in page
    assert not Job.objects.exists()
    assert VoiceSession.objects.get().is_open


@pytest.mark.django_db(transaction=True)
def test_a_running_session_is_ended(client: Client, mo: User) -> None:
    session = a_session()
    answer = ask(client, "end", session, confirmed="yes")
    assert answer.status_code == 302
    assert not VoiceSession.objects.get().is_open, "nobody waits for a worker to stop"
    job = Job.objects.get()
    assert jobs.work(job.pk)
    assert state_of(session) == State.FINISHING
    assert VoiceSession.objects.get().end_reason == "moderator"
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (mo, str(session.pk))
    assert entry.change_message == f"End now (job {job.pk})."


def test_what_its_state_forbids_is_refused_in_plain_words(client: Client) -> None:
    over, runs = a_session(State.READY, title="Over"), a_session(title="Runs")
    page = ask(client, "end", over, runs).content.decode()
    assert "Over: It is not running." in page
    assert f'name="_selected_action" value="{runs.pk}"' in page
    assert f'name="_selected_action" value="{over.pk}"' not in page
    page = ask(client, "end", over, confirmed="yes").content.decode()
    assert "There is nothing to do." in page
    assert not Job.objects.exists()


@pytest.mark.parametrize("kind", [kind for kind in ACTS if kind != "end"])
def test_a_running_session_is_not_meddled_with(client: Client, kind: str) -> None:
    if State.ACTIVE in ACTS[kind].states:
        return
    session = a_session(title="Runs")
    page = ask(client, kind, session).content.decode()
    assert f"Runs: {ACTS[kind].refusal}" in page


def test_what_changed_between_question_and_work_is_refused_by_the_job(
    client: Client,
) -> None:
    session = a_session(State.READY)
    ask(client, "delete", session, confirmed="yes")
    VoiceSession.objects.update(state=State.FINISHING)
    job = Job.objects.get()
    assert jobs.work(job.pk)
    job.refresh_from_db()
    assert job.failures == [[0, ACTS["delete"].refusal]]
    assert VoiceSession.objects.exists()


def test_a_failed_session_is_finished_again(client: Client) -> None:
    session = a_session(State.FAILED, failure="The disk was full.")
    assert do(client, "finish", session).done == 1
    assert state_of(session) == State.READY


def test_one_that_never_began_has_nothing_to_finish(client: Client) -> None:
    session = a_session(State.FAILED, started_at=None)
    job = do(client, "finish", session)
    assert "before it began" in job.failures[0][1]


def heard() -> Recorded:
    talk = Recorded(title="Heard")
    talk.sounds(talk.joins(5, "Ann"), at_s=1.0)
    talk.ends()
    return talk


def test_the_master_is_mixed_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = heard()
    rung: list[int] = []
    monkeypatch.setattr(mixing, "ring", rung.append)
    before = recordings.of_tier(talk.session.pk, Tier.MASTER)[0].pk
    assert do(client, "remix", talk.session).done == 1
    assert rung == [talk.session.pk]
    assert mixing.remix(talk.session.pk)
    assert recordings.of_tier(talk.session.pk, Tier.MASTER)[0].pk != before
    assert masters.link_of(talk.session)


def test_the_only_copy_is_not_given_up_for_a_new_mix(
    client: Client, settings: Settings
) -> None:
    talk = heard()
    (master,) = recordings.of_tier(talk.session.pk, Tier.MASTER)
    settings.KEEP_FRAGMENTS_DAYS = 90
    long_ago = timezone.now() - timedelta(days=91)
    VoiceSession.objects.filter(pk=talk.session.pk).update(ended_at=long_ago)
    job = do(client, "remix", talk.session)
    assert "only this mix is left" in job.failures[0][1]
    assert recordings.of_tier(talk.session.pk, Tier.MASTER) == [master]
    assert masters.link_of(talk.session)


def test_there_is_nothing_to_mix_where_nothing_was_recorded(client: Client) -> None:
    job = do(client, "remix", a_session(State.READY))
    assert job.failures == [[0, "Nothing was recorded in this session."]]


def test_what_was_given_up_is_uploaded_from_the_spool(client: Client) -> None:
    talk = Recorded()
    talk.sounds(talk.joins(5, "Ann"), at_s=1.0)
    VoiceSession.objects.filter(pk=talk.session.pk).update(
        state=State.FINISHING, ended_at=talk.session.started_at
    )
    with pytest.MonkeyPatch.context() as away:
        away.setattr(mixing, "_store", lambda _: True)
        assert mixing.fragments(talk.session.pk)
    Recording.objects.update(state="failed", error="Refused.", attempts=9)
    job = do(client, "upload", talk.session)
    assert job.done == 1
    assert set(Recording.objects.values_list("state", "error")) == {("stored", "")}


def test_sessions_are_deleted_with_their_sound(client: Client, here: Path) -> None:
    talk = heard()
    assert [path for path in (here / "storage").rglob("*") if path.is_file()]
    assert do(client, "delete", talk.session, a_session(State.READY)).done == 2
    assert not VoiceSession.objects.exists()
    assert not list((here / "storage").rglob("*.mp3"))
    assert {one.action_flag for one in LogEntry.objects.all()} == {3}


def test_when_storage_is_away_it_stays_and_the_job_says_so(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Any, prefix: str = "") -> Iterator[Any]:
        raise UnreachableError("The storage does not answer.")

    monkeypatch.setattr(LocalStorage, "listing", away)
    job = do(client, "delete", a_session(State.READY))
    assert len(job.failures) == 1
    assert VoiceSession.objects.exists()


def test_a_single_one_is_not_told_deleted_when_it_was_not(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Any, prefix: str = "") -> Iterator[Any]:
        raise UnreachableError("The storage does not answer.")

    monkeypatch.setattr(LocalStorage, "listing", away)
    session = a_session(State.READY)
    url = reverse("admin:voice_sessions_voicesession_delete", args=[session.pk])
    page = client.post(url, {"post": "yes"}, follow=True)
    told = [str(one) for one in page.context["messages"]]
    assert len(told) == 1
    assert told[0].startswith("Nothing was deleted, try again later.")
    assert not LogEntry.objects.exists()


def test_each_act_can_be_begun_on_the_session_s_own_page(client: Client) -> None:
    session = a_session(title="Monday planning")
    page = client.get(
        reverse("admin:voice_sessions_voicesession_change", args=[session.pk])
    ).content.decode()
    for kind, act in ACTS.items():
        url = reverse(
            f"admin:voice_sessions_voicesession_one_{kind}", args=[session.pk]
        )
        assert url in page, kind
        page_of_act = client.get(url).content.decode()
        assert escape(act.about) in page_of_act
    assert not Job.objects.exists()


def test_who_may_only_look_may_do_nothing(mo: User) -> None:
    from django.contrib.auth.models import Permission

    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(looker)
    session = a_session()
    assert client.get(reverse(LIST)).status_code == 200
    ask(client, "end", session, confirmed="yes")
    assert not Job.objects.exists()
    for kind in ACTS:
        url = reverse(
            f"admin:voice_sessions_voicesession_one_{kind}", args=[session.pk]
        )
        assert client.get(url).status_code == 403


def test_a_page_shows_how_far_a_job_is_until_it_is_over(client: Client) -> None:
    session = a_session(State.READY, title="Empty")
    ask(client, "remix", session, confirmed="yes")
    job = Job.objects.get()
    bar = reverse("admin:voice_sessions_job_bar", args=[job.pk])
    page = client.get(reverse("admin:voice_sessions_job_see", args=[job.pk]))
    assert f'hx-get="{bar}"' in page.content.decode()
    assert "Waits for a worker." in page.content.decode()
    assert jobs.work(job.pk)
    part = client.get(bar).content.decode()
    assert "hx-get" not in part
    assert "Empty: Nothing was recorded in this session." in part
    assert "0 of 1 done, 1 not." in part
    assert "<html" not in part


def test_a_job_is_cancelled_and_that_is_logged(client: Client) -> None:
    ask(client, "remix", a_session(State.READY), confirmed="yes")
    job = Job.objects.get()
    url = reverse("admin:voice_sessions_job_cancel", args=[job.pk])
    assert client.get(url).status_code == 405
    client.post(url)
    job.refresh_from_db()
    assert job.state == Job.State.CANCELLED
    assert LogEntry.objects.filter(change_message="Cancelled.").count() == 1


def test_a_form_stands_between_where_there_is_something_to_say(client: Client) -> None:
    session = a_session(State.READY)
    page = ask(client, "again", session).content.decode()
    assert 'name="model"' in page
    answer = ask(client, "again", session, confirmed="yes", language="Klingon!")
    assert "A code like en, de or uk." in answer.content.decode()
    answer = ask(client, "again", session, confirmed="yes", model="../etc")
    assert answer.status_code == 200
    assert not Job.objects.exists()
    ask(client, "again", session, confirmed="yes", model="medium", language="de")
    assert Job.objects.get().options == {"model": "medium", "language": "de"}
