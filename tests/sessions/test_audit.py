"""Who looked at the sessions of others is written down, once an hour."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import AsyncClient, Client
from django.urls import reverse
from pytest_django.fixtures import Settings
from scene import NOON, a_moderator, a_session, a_user, on_discord

from sessions import access, audit, guilds
from sessions.audit import Kind
from sessions.models import AuditEntry, State, VoiceSession

pytestmark = pytest.mark.django_db
HERE = "192.0.2.7"


def looks(session: VoiceSession, user: User | AnonymousUser | None) -> None:
    audit.note(session, kind=Kind.AUDIO, user=user, address=HERE, now=NOON)


def told() -> list[tuple[str, str]]:
    rows = AuditEntry.objects.order_by("pk")
    return list(rows.values_list("who", "kind"))


def test_its_owner_and_who_spoke_in_it_leave_no_trace() -> None:
    ada, ben = a_user("ada"), a_user("ben")
    eve = on_discord(a_user("eve"), "500")
    session = a_session(State.READY, owner=ada)
    session.participants.create(key="x", name="Ben", user=ben)
    session.participants.create(key="discord:500", name="Eve")
    for person in (ada, ben, eve):
        looks(session, person)
    assert not told()


def test_moderators_managers_and_whoever_has_the_link_do() -> None:
    mod, moe = a_moderator(), on_discord(a_user("moe"), "9")
    guilds.remember("9", ["77"])
    session = a_session(State.READY, guild_id="77")
    looks(session, mod)
    looks(session, moe)
    looks(session, None)
    looks(session, AnonymousUser())
    assert told() == [
        (f"user:{mod.pk}", "audio"),
        (f"user:{moe.pk}", "audio"),
        (f"link:{HERE}", "audio"),
    ]
    row = AuditEntry.objects.earliest("pk")
    assert (row.user, row.address, row.seen_at) == (mod, HERE, NOON)
    assert row.session == session.public_id


def test_an_hour_has_one_row_for_each_person_session_and_kind() -> None:
    mod, session, other = a_moderator(), a_session(), a_session()
    minutes = (0, 20, 59, 60, 61)
    for minute in minutes:
        now = NOON + timedelta(minutes=minute)
        audit.note(session, kind=Kind.AUDIO, user=mod, address=HERE, now=now)
    assert AuditEntry.objects.count() == 2
    audit.note(session, kind=Kind.TRANSCRIPT, user=mod, address=HERE, now=NOON)
    audit.note(other, kind=Kind.AUDIO, user=mod, address=HERE, now=NOON)
    assert AuditEntry.objects.count() == 4


def test_it_is_kept_for_a_year_and_survives_the_session(settings: Settings) -> None:
    session, mod = a_session(), a_moderator()
    looks(session, mod)
    session.delete()
    mod.delete()
    assert audit.forget_old(now=NOON + timedelta(days=365)) == 0
    assert told()
    settings.AUDIT_KEEP_DAYS = 0
    assert audit.forget_old(now=NOON + timedelta(days=9000)) == 0
    settings.AUDIT_KEEP_DAYS = 30
    assert audit.forget_old(now=NOON + timedelta(days=31)) == 1
    assert not told()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/session/{}", "page"),
        ("/api/sessions/{}/transcript.txt", "transcript"),
        ("/api/sessions/{}/transcript.json?download=true", "transcript"),
        ("/api/sessions/{}/tracks.zip", "audio"),
        ("/api/sessions/{}/recordings/1/peaks.json", "audio"),
        ("/api/sessions/{}/events", "page"),
    ],
)
@pytest.mark.django_db(transaction=True)
async def test_each_way_out_tells_it(path: str, kind: str) -> None:
    session = await VoiceSession.objects.acreate(
        source="phone", state=State.READY, started_at=NOON, ended_at=NOON
    )
    mod = await User.objects.acreate_superuser("root")
    client = AsyncClient()
    await client.aforce_login(mod)
    answer = await client.get(path.format(session.public_id))
    answer.close()
    rows = [(row.who, row.kind) async for row in AuditEntry.objects.all()]
    assert rows == [(f"user:{mod.pk}", kind)]


def test_who_has_a_sign_in_and_the_link_is_known_by_name() -> None:
    session = a_session(State.READY)
    mod = a_moderator()
    client = Client()
    client.force_login(mod)
    token = access.token_of(session)
    client.get(f"/session/{session.public_id}?token={token}")
    assert told() == [(f"user:{mod.pk}", "page")]


def test_who_is_refused_reads_nothing_and_is_not_written_down() -> None:
    session = a_session(State.READY)
    assert Client().get(f"/session/{session.public_id}?token=x").status_code == 404
    assert not told()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "known"),
    [
        (0, "", "127.0.0.1"),
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "10.9.9.9, 203.0.113.9", "203.0.113.9"),
        (2, "10.9.9.9, 203.0.113.9, 192.0.2.1", "203.0.113.9"),
        (2, "203.0.113.9", "203.0.113.9"),
        (1, "nonsense", ""),
        (1, "", "127.0.0.1"),
        (1, "2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_address_is_the_visitors_as_our_proxies_tell_it(
    settings: Settings, proxies: int, forwarded: str, known: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    assert audit.address("127.0.0.1", forwarded) == known


def test_the_admin_page_shows_it_and_changes_nothing(admin_client: Client) -> None:
    looks(a_session(), a_moderator())
    looks(a_session(), None)
    page = reverse("admin:voice_sessions_auditentry_changelist")
    content = admin_client.get(page).content.decode()
    assert HERE in content
    assert "mod" in content
    row = AuditEntry.objects.earliest("pk")
    change = reverse("admin:voice_sessions_auditentry_change", args=[row.pk])
    assert admin_client.get(change).status_code == 200
    assert admin_client.post(change, {"address": "x"}).status_code == 403
    strike = reverse("admin:voice_sessions_auditentry_delete", args=[row.pk])
    assert admin_client.post(strike, {"post": "yes"}).status_code == 403
