"""The lists of the admin: who may read them, and that a long one costs no more."""

from __future__ import annotations

import io
import uuid
import zipfile
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from scene import a_session

from sessions import events, jobs, moderators, queue
from sessions.admin import reading, shown
from sessions.csp import policy
from sessions.models import Job, Participant, Recording, Source, State, Tier
from transcripts.models import Utterance

pytestmark = pytest.mark.django_db
READ = (
    "voice_sessions_voicesession",
    "voice_sessions_participant",
    "voice_sessions_recording",
    "voice_sessions_sessionevent",
    "voice_sessions_voicerequest",
    "voice_sessions_job",
    "transcripts_utterance",
    "bot_call",
    "bot_discordcall",
    "bot_erasure",
    "admin_logentry",
)
NOT_THEIRS = ("auth_user", "auth_group", "voice_sessions_apitoken", "django_q_failure")


@pytest.fixture
def moderator() -> Client:
    moderators.appoint("mo")
    client = Client()
    client.force_login(User.objects.get(username="mo"))
    return client


def fill(count: int) -> None:
    """Sessions with a person, a recording, a line, an event and a request each."""
    from bot.models import Call

    for number in range(count):
        session = a_session(State.READY, title=f"Talk {number}")
        person = Participant.objects.create(session=session, key="a", name="Ann")
        Recording.objects.create(
            session=session, participant=person, tier=Tier.CHUNK, key=uuid.uuid4().hex
        )
        Utterance.objects.create(
            session=session, participant=person, start=0, end=48_000, audio_start=0,
            state="done", text="good morning",
        )  # fmt: skip
        events.append(session.pk, "note", {})
        queue.ask(source=Source.DISCORD, guild_id="7", user_id=uuid.uuid4().hex)
        Call.objects.create(uuid=uuid.uuid4(), session=session)
        jobs.ask("remix", [session.pk])


def url(name: str) -> str:
    return reverse(f"admin:{name}_changelist")


@pytest.mark.parametrize("name", READ)
def test_a_list_asks_the_database_no_more_when_it_is_longer(
    name: str, moderator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "ring", lambda _: None)

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert moderator.get(url(name)).status_code == 200
        return len(queries)

    fill(2)
    few = asked()
    fill(12)
    assert asked() == few


@pytest.mark.parametrize("name", READ)
def test_no_list_counts_all_there_is(
    name: str, moderator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "ring", lambda _: None)
    fill(1)
    with CaptureQueriesContext(connection) as queries:
        moderator.get(url(name))
    counted = [q["sql"] for q in queries if q["sql"].startswith("SELECT COUNT(")]
    table = {"admin_logentry": "django_admin_log"}.get(name, name)
    ours = [sql for sql in counted if table in sql]
    assert ours, "it counts some"
    assert all("LIMIT" in sql for sql in ours), "and no more"
    assert all(sql.count("SELECT") == 2 for sql in ours), "and only their keys"


def test_a_list_is_leafed_through_as_far_as_it_is_counted(
    moderator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "COUNTED", 3)
    for number in range(5):
        a_session(title=f"Talk {number}")
    page = moderator.get(url("voice_sessions_voicesession"))
    assert page.context["cl"].result_count == 3


@pytest.mark.parametrize("name", READ)
def test_a_moderator_reads_and_neither_adds_nor_changes(
    name: str, moderator: Client
) -> None:
    assert moderator.get(url(name)).status_code == 200
    assert moderator.get(reverse(f"admin:{name}_add")).status_code == 403


@pytest.mark.parametrize("name", NOT_THEIRS)
def test_what_is_not_theirs_is_closed(name: str, moderator: Client) -> None:
    assert moderator.get(url(name)).status_code == 403


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("who", ["nobody", "user", "clerk"])
def test_nobody_else_reads_anything(name: str, who: str) -> None:
    client = Client()
    if who != "nobody":
        client.force_login(User.objects.create_user(who, is_staff=who == "clerk"))
    expected = 403 if who == "clerk" else 302
    assert client.get(url(name)).status_code == expected


def test_an_administrator_opens_every_list(admin_client: Client) -> None:
    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        assert admin_client.get(url(name)).status_code == 200, name


def test_everything_opens_on_either_database(
    either_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "ring", lambda _: None)
    root = User.objects.create_superuser(uuid.uuid4().hex)
    client = Client()
    client.force_login(root)
    fill(2)
    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        assert client.get(url(name)).status_code == 200, name
    for name in ("voice_sessions_voicesession", "transcripts_utterance"):
        assert client.get(url(name), {"q": "morning"}).status_code == 200
    for page in ("index", "orphans", "operations"):
        assert client.get(reverse(f"admin:{page}")).status_code == 200
    session = Participant.objects.earliest("pk").session
    assert client.get(shown_at(session)).status_code == 200
    Job.objects.all().delete()
    root.delete()


def test_every_row_has_a_page(moderator: Client) -> None:
    fill(1)
    for model in (Participant, Recording, Utterance):
        row: Any = model._default_manager.get()
        assert moderator.get(shown_at(row)).status_code == 200


def shown_at(row: Any) -> str:
    name = f"{row._meta.app_label}_{row._meta.model_name}"
    return reverse(f"admin:{name}_change", args=[row.pk])


def test_a_session_leads_to_what_belongs_to_it(moderator: Client) -> None:
    fill(2)
    session = Participant.objects.earliest("pk").session
    text = moderator.get(shown_at(session)).content.decode()
    for name in ("transcripts_utterance", "voice_sessions_participant", "bot_call"):
        address = f"{url(name)}?session__id__exact={session.pk}"
        assert address in text
        rows = moderator.get(address).context["cl"].result_list
        assert [row.session_id for row in rows] == [session.pk]


@pytest.mark.parametrize(
    ("name", "query", "count"),
    [
        ("voice_sessions_voicesession", "Talk 1", 1),
        ("voice_sessions_voicesession", "Ann", 3),
        ("voice_sessions_voicesession", "nothing like it", 0),
        ("voice_sessions_participant", "ann", 3),
        ("transcripts_utterance", "morning", 3),
        ("transcripts_utterance", "evening", 0),
        ("voice_sessions_recording", "no such key", 0),
        ("voice_sessions_sessionevent", "no id", 0),
    ],
)
def test_it_is_found_by_what_people_know(
    name: str, query: str, count: int, moderator: Client
) -> None:
    fill(3)
    found = moderator.get(url(name), {"q": query}).context["cl"].result_list
    assert len(found) == count


@pytest.mark.parametrize(
    "name",
    [
        "voice_sessions_voicesession",
        "voice_sessions_participant",
        "voice_sessions_recording",
        "voice_sessions_sessionevent",
        "transcripts_utterance",
        "bot_call",
    ],
)
def test_it_is_found_by_the_id_of_its_session(name: str, moderator: Client) -> None:
    fill(3)
    session = Participant.objects.earliest("pk").session
    query = {"q": str(session.public_id)}
    found = moderator.get(url(name), query).context["cl"].result_list
    assert len(found) == 1


def test_a_long_session_is_deleted_without_naming_all_that_was_said(
    moderator: Client,
) -> None:
    fill(1)
    session = Participant.objects.get().session
    with CaptureQueriesContext(connection) as queries:
        page = moderator.get(
            reverse("admin:voice_sessions_voicesession_delete", args=[session.pk])
        ).content.decode()
    assert "good morning" not in page
    assert len(queries) < 25


def test_transcripts_come_as_one_zip(moderator: Client) -> None:
    fill(2)
    ids = [one.session_id for one in Participant.objects.all()]
    fields = {"action": "do_export", "_selected_action": ids}
    list_ = url("voice_sessions_voicesession")
    assert b"Format" in moderator.post(list_, fields).content
    answer: Any = moderator.post(list_, fields | {"confirmed": "yes", "suffix": "srt"})
    data = b"".join(answer.streaming_content)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == [
            "2026-05-04 1200 Talk 0.srt",
            "2026-05-04 1200 Talk 1.srt",
        ]
        assert b"Ann: good morning" in archive.read("2026-05-04 1200 Talk 0.srt")


@pytest.mark.django_db(transaction=True)
async def test_the_zip_is_made_while_it_is_sent() -> None:
    """As the web process does; Django would make all of it before the first byte."""

    def begin() -> list[int]:
        moderators.appoint("mo")
        fill(2)
        return [one.session_id for one in Participant.objects.all()]

    ids = await sync_to_async(begin)()
    client = AsyncClient()
    await client.aforce_login(await User.objects.aget(username="mo"))
    answer: Any = await client.post(
        url("voice_sessions_voicesession"),
        {
            "action": "do_export",
            "_selected_action": ids,
            "confirmed": "yes",
            "suffix": "txt",
        },
    )
    assert answer.is_async
    pieces = [piece async for piece in answer.streaming_content]
    assert len(pieces) >= 3
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert len(archive.namelist()) == 2


def test_the_admin_alone_may_evaluate_and_only_what_is_ours(moderator: Client) -> None:
    told = moderator.get("/admin/")["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval';" in told
    assert "http://" not in told.replace("ws://", "")
    for path in ("/", "/login", "/administer", "/session/x"):
        assert "unsafe" not in policy("testserver", path=path)


def test_the_sidebar_shows_only_rooms_that_are_open(moderator: Client) -> None:
    titles = [
        item["title"]
        for group in moderator.get("/admin/").context["sidebar_navigation"]
        for item in group["items"]
    ]
    assert titles[:4] == ["Sessions", "People", "Recordings", "Transcripts"]
    assert {"Queue", "Calls", "Operations", "Orphans"} <= set(titles)
    clerk = Client()
    clerk.force_login(User.objects.create_user("clerk", is_staff=True))
    assert clerk.get("/admin/").context["sidebar_navigation"] == []


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (7.4, "7 s"), (250, "4 min 10 s"), (3900, "1 h 05 min")],
)
def test_lengths_are_told_as_people_say_them(seconds: float, told: str) -> None:
    assert shown.seconds(seconds) == told


@pytest.mark.parametrize(
    ("size", "told"), [(0, "–"), (999, "999 B"), (3_400_000, "3.4 MB")]
)
def test_sizes_are_told_in_round_numbers(size: int, told: str) -> None:
    assert shown.size(size) == told
