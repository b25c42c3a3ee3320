"""Orphans: a look changes nothing, and what it showed is cleaned, and nothing else."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ
from pytest_django.fixtures import Settings
from recorded import Recorded
from scene import a_session

from bot import orphans
from bot.discord.guild import deeds
from bot.models import DiscordCall
from sessions import finish, jobs, keys, mixing, moderators, recordings
from sessions.models import Job, Recording, State, Tier, VoiceSession
from sessions.storage import storage

pytestmark = pytest.mark.django_db
PAGE = "admin:orphans"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    for module in (recordings, finish, mixing, jobs):
        monkeypatch.setattr(module, "ring", lambda _: None)
    return tmp_path


@pytest.fixture
def client(transactional_db: None) -> Client:
    moderators.appoint("mo")
    client = Client()
    client.force_login(User.objects.get(username="mo"))
    return client


def look(client: Client) -> Job:
    assert client.post(reverse("admin:orphans_look")).status_code == 302
    return worked("look")


def worked(kind: str) -> Job:
    job = Job.objects.filter(kind=kind).latest("pk")
    assert jobs.work(job.pk)
    job.refresh_from_db()
    return job


def clean(client: Client, seen: Job, *groups: str) -> Job:
    fields = {"look": seen.pk, "group": groups or tuple(orphans.GROUPS)}
    assert client.post(reverse("admin:orphans_clean"), fields).status_code == 302
    return worked("clean")


def found(job: Job) -> list[tuple[str, str]]:
    assert job.failures == []
    return [(one["group"], one["id"]) for one in job.found]


def an_object(here: Path, key: str) -> None:
    """In storage for an hour already."""
    path = here / "file"
    path.write_bytes(b"x" * 1000)
    storage().put(key, path, content_type="audio/mpeg")
    there = here / "storage" / key
    os.utime(there, (there.stat().st_mtime - 3600,) * 2)


def page(client: Client) -> str:
    return client.get(reverse(PAGE)).content.decode()


def test_where_nothing_is_left_nothing_is_found(client: Client) -> None:
    assert found(look(client)) == []
    assert "Clean these up" not in page(client)


def test_what_is_left_in_discord_is_marked_for_the_bot(client: Client) -> None:
    session = a_session(State.READY, guild_id="77")
    VoiceSession.objects.update(ended_at=timezone.now())
    left = DiscordCall.objects.create(
        session=session, guild_id="77", user_id="5", room_id="9", attempts=20
    )
    seen = look(client)
    assert found(seen) == [("discord", str(left.pk))]
    assert "Guild 77: room 9" in page(client)
    assert deeds.orphans([77]) == [], "a look changes nothing"
    assert clean(client, seen).done == 1
    assert deeds.orphans([77]) == [left]


def test_a_session_that_nobody_holds_is_ended(client: Client) -> None:
    a_session(heartbeat_at=timezone.now())
    old = timezone.now() - timedelta(hours=1)
    forsaken = a_session(heartbeat_at=old, title="Forsaken")
    seen = look(client)
    assert found(seen) == [("sessions", str(forsaken.pk))]
    assert "Forsaken: last sign of life" in page(client)
    assert clean(client, seen).done == 1
    forsaken.refresh_from_db()
    assert forsaken.state == State.FINISHING


def test_one_that_lives_again_is_left_alone_and_that_is_said(client: Client) -> None:
    old = timezone.now() - timedelta(hours=1)
    session = a_session(heartbeat_at=old)
    seen = look(client)
    VoiceSession.objects.update(heartbeat_at=timezone.now())
    job = clean(client, seen)
    assert job.done == 0
    assert "has changed since the look" in job.failures[0][1]
    session.refresh_from_db()
    assert session.is_open
    bar = reverse("admin:voice_sessions_job_bar", args=[job.pk])
    assert "last sign of life" in client.get(bar).content.decode(), "which it was"


def test_a_stranger_in_storage_is_deleted_and_a_known_one_gets_its_row(
    client: Client, here: Path
) -> None:
    import uuid

    stranger = keys.master_key(uuid.uuid4())
    known = keys.master_key(a_session(State.READY).public_id)
    an_object(here, stranger)
    an_object(here, known)
    seen = look(client)
    assert sorted(found(seen)) == sorted(
        [("strangers", stranger), ("strangers", known)]
    )
    assert "2 found, 2.0 kB" in page(client)
    assert not Recording.objects.exists()
    assert clean(client, seen).done == 2
    assert [one.key for one in storage().listing("")] == [known]
    assert Recording.objects.get().key == known


def test_only_what_was_shown_is_cleaned(client: Client, here: Path) -> None:
    import uuid

    first, late = keys.master_key(uuid.uuid4()), keys.master_key(uuid.uuid4())
    an_object(here, first)
    seen = look(client)
    an_object(here, late)
    assert clean(client, seen).done == 1
    assert [one.key for one in storage().listing("")] == [late]


def test_a_row_without_its_file_is_marked(client: Client, here: Path) -> None:
    session = a_session(State.READY)
    key = keys.master_key(session.public_id)
    row = Recording.objects.create(
        session=session, tier=Tier.CHUNK, key=key, size=10, state="stored"
    )
    seen = look(client)
    assert found(seen) == [("lost", key)]
    assert clean(client, seen).done == 1
    row.refresh_from_db()
    assert row.state == "failed"


def test_sound_that_came_to_light_late_is_carried_to_its_end(client: Client) -> None:
    talk = Recorded()
    talk.ends()
    talk.sounds(talk.joins(5, "Ann"), at_s=1.0)
    seen = look(client)
    assert found(seen) == [("spool", str(talk.session.public_id))]
    job = clean(client, seen)
    assert (job.done, job.failures) == (1, [])
    assert found(look(client)) == []
    assert recordings.of_tier(talk.session.pk, Tier.MASTER)


def test_tasks_that_nobody_takes_leave_the_queue(client: Client) -> None:
    old = timezone.now() - timedelta(hours=1)
    stuck = OrmQ.objects.create(key="gone", payload="", lock=old)
    OrmQ.objects.create(key="media", payload="", lock=timezone.now())
    ends = a_session(State.FINISHING, ended_at=old, title="Late")
    seen = look(client)
    assert found(seen) == [
        ("tasks", f"task:{stuck.pk}"),
        ("tasks", f"end:{ends.pk}"),
    ]
    assert clean(client, seen).done == 2
    assert list(OrmQ.objects.values_list("key", flat=True)) == ["media"]


def test_one_group_is_cleaned_without_the_others(client: Client, here: Path) -> None:
    import uuid

    an_object(here, keys.master_key(uuid.uuid4()))
    old = timezone.now() - timedelta(hours=1)
    a_session(heartbeat_at=old)
    assert clean(client, look(client), "sessions").done == 1
    assert list(storage().listing(""))


def test_what_was_done_goes_to_the_log_of_admin_actions(client: Client) -> None:
    old = timezone.now() - timedelta(hours=1)
    a_session(heartbeat_at=old)
    seen = look(client)
    clean(client, seen)
    entry = LogEntry.objects.get()
    told = f"Clean up orphans, as look {seen.pk} showed them."
    assert entry.change_message == f"{told} Sessions that nobody holds: 1."
    assert "These were cleaned before." in page(client)


@pytest.mark.parametrize("number", ["", "0", "999", "x"])
def test_a_look_that_is_not_there_cleans_nothing(client: Client, number: str) -> None:
    fields = {"look": number, "group": ["sessions"]}
    assert client.post(reverse("admin:orphans_clean"), fields).status_code == 302
    assert not Job.objects.exists()


def test_when_storage_is_away_the_other_groups_are_looked_at(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sessions.storage import LocalStorage, UnreachableError

    def away(self: Any, prefix: str = "") -> Any:
        raise UnreachableError("The storage does not answer.")

    monkeypatch.setattr(LocalStorage, "listing", away)
    a_session(heartbeat_at=timezone.now() - timedelta(hours=1))
    seen = look(client)
    assert [one["group"] for one in seen.found] == ["sessions"]
    assert len(seen.failures) == 2
    assert "could not be looked at" in page(client)


@pytest.mark.parametrize("who", ["nobody", "user", "clerk"])
def test_it_is_for_moderators_only(who: str, db: None) -> None:
    client = Client()
    if who != "nobody":
        client.force_login(User.objects.create_user(who, is_staff=who == "clerk"))
    expected = 403 if who == "clerk" else 302
    for name in ("orphans", "operations"):
        assert client.get(reverse(f"admin:{name}")).status_code == expected
    for name in ("orphans_look", "orphans_clean"):
        assert client.post(reverse(f"admin:{name}")).status_code == expected
    assert not Job.objects.exists()
