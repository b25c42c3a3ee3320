"""The report of a session: to whom, once, and what stands in it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings
from recorded import Recorded
from scene import a_moderator, a_user
from structlog.testing import capture_logs

from sessions import finish, mixing, recordings
from sessions.models import AuditEntry, Report, State, VoiceSession
from transcripts import chores, doorbell, reporting

pytestmark = pytest.mark.django_db

MAIL = "owner@parley.test"


@pytest.fixture(autouse=True)
def rung(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[Any, ...]]:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    settings.REPORT_EMAILS = True
    settings.PUBLIC_URL = "https://parley.test"
    rings: list[tuple[Any, ...]] = []
    for module in (recordings, finish, mixing):
        monkeypatch.setattr(module, "ring", lambda _: None)
    monkeypatch.setattr(doorbell, "ring", lambda *told, **_: rings.append(told))
    return rings


class Talk(Recorded):
    def __init__(self, owner: User | None) -> None:
        super().__init__(title="Monday\r\nplanning", owner=owner)
        self.ann = self.joins(1, "Ann <b>")
        self.sounds(self.ann, at_s=1.0)
        self.says(self.ann, "good morning")


@pytest.fixture
def owner() -> User:
    user = a_user("owner")
    user.email = MAIL
    user.save()
    return user


def sent(session: VoiceSession) -> list[str]:
    """To whom mails went when a worker hears the bell."""
    before = len(mail.outbox)
    chores.report(session.pk)
    return [to for one in mail.outbox[before:] for to in one.to]


def test_the_owner_gets_it_when_the_session_is_ready(
    owner: User, rung: list[tuple[Any, ...]]
) -> None:
    session = Talk(owner).ends()
    assert (reporting.TASK, session.pk) in rung
    assert sent(session) == [MAIL]


def test_it_says_who_spoke_and_where_to_listen(owner: User) -> None:
    session = Talk(owner).ends()
    sent(session)
    (one,) = mail.outbox
    assert one.subject == "Ready: Monday planning"
    text = str(one.body)
    assert "Ann <b>: 0:00:01" in text
    assert f"https://parley.test/session/{session.public_id}" in text
    assert "https://parley.test/storage/" in text
    assert "https://parley.test/unsubscribe/" in text
    ((html, kind),) = one.alternatives  # type: ignore[attr-defined]
    assert kind == "text/html"
    assert "Ann &lt;b&gt;" in str(html)
    ((name, minutes_, kind),) = one.attachments
    assert (name, kind) == ("minutes.md", "text/markdown")
    assert "good morning" in str(minutes_)


def test_it_is_sent_once_also_after_a_retry(owner: User) -> None:
    session = Talk(owner).ends()
    assert sent(session) == [MAIL]
    VoiceSession.objects.filter(pk=session.pk).update(state=State.FINISHING)
    assert finish.complete(session.pk)
    assert sent(session) == []


def test_two_workers_send_one(owner: User) -> None:
    session = Talk(owner).ends()
    Report.objects.update(leased_until=timezone.now() + timedelta(minutes=1))
    assert sent(session) == []


def test_whoever_subscribed_gets_one_and_whoever_left_none(owner: User) -> None:
    talk, ada = Talk(owner), a_user("ada")
    User.objects.filter(pk=ada.pk).update(email="ada@parley.test")
    reporting.subscribe(talk.session, ada, is_on=True)
    reporting.subscribe(talk.session, owner, is_on=False)
    assert sent(talk.ends()) == ["ada@parley.test"]


def a_reader(name: str) -> User:
    reader = a_user(name)
    User.objects.filter(pk=reader.pk).update(email=f"{name}@parley.test")
    return reader


def test_whoever_lost_the_right_gets_none(owner: User) -> None:
    talk = Talk(owner)
    gone, mod = a_reader("gone"), a_moderator("mod")
    User.objects.filter(pk=mod.pk).update(email="mod@parley.test")
    reporting.subscribe(talk.session, mod, is_on=True)
    reporting.subscribe(talk.session, gone, is_on=True)  # who has its link
    session = talk.ends()
    mod.user_permissions.clear()
    User.objects.filter(pk=gone.pk).update(is_active=False)
    assert sent(session) == [MAIL]
    assert Report.objects.filter(state=Report.State.FAILED).count() == 2


def test_a_link_is_a_right_of_its_own(owner: User) -> None:
    talk = Talk(owner)
    reporting.subscribe(talk.session, a_reader("guest"), is_on=True)
    assert sent(talk.ends()) == [MAIL, "guest@parley.test"]


def test_what_others_are_sent_is_in_the_audit_log(owner: User) -> None:
    talk, mod = Talk(owner), a_moderator("mod")
    User.objects.filter(pk=mod.pk).update(email="mod@parley.test")
    reporting.subscribe(talk.session, mod, is_on=True)
    sent(talk.ends())
    told = AuditEntry.objects.values_list("who", "kind")
    assert set(told) == {(f"user:{mod.pk}", "transcript"), (f"user:{mod.pk}", "audio")}


def test_without_an_address_there_is_none() -> None:
    assert sent(Talk(a_user("nobody")).ends()) == []
    assert sent(Talk(None).ends()) == []


def test_none_is_sent_where_it_is_off(owner: User, settings: Settings) -> None:
    settings.REPORT_EMAILS = False
    assert sent(Talk(owner).ends()) == []
    assert not Report.objects.exists()


def test_a_server_that_is_away_is_tried_again_but_not_for_ever(
    owner: User, settings: Settings
) -> None:
    session = Talk(owner).ends()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1  # nobody listens
    now = timezone.now()
    with capture_logs() as logs:
        for _ in range(reporting.ATTEMPTS_MAX + 2):
            reporting.send_all(session.pk, now=now)
            assert reporting.send_all(session.pk, now=now) == 0
            now += timedelta(days=1)
    row = Report.objects.get()
    assert (row.state, row.attempts) == (Report.State.FAILED, reporting.ATTEMPTS_MAX)
    assert MAIL not in str(logs)
    assert "ConnectionRefusedError" in row.error


def test_after_a_failure_it_still_comes(owner: User, settings: Settings) -> None:
    session = Talk(owner).ends()
    with pytest.MonkeyPatch.context() as away:
        away.setattr(reporting, "_mail", lambda _: 1 / 0)
        assert reporting.send_all(session.pk) == 0
    assert reporting.ring_all() == 0  # it rests
    assert reporting.send_all(session.pk, now=timezone.now() + timedelta(hours=1)) == 1


def test_the_link_in_the_mail_ends_it_by_one_click(owner: User, client: Client) -> None:
    talk = Talk(owner)
    address = f"/unsubscribe/{reporting.token_for(talk.session.pk, owner.pk)}"
    for look in (client.get, client.head):  # as mail scanners do
        assert look(address).status_code == 200
        assert reporting.is_subscribed(talk.session, owner)
    assert client.post(address).status_code == 200
    assert not reporting.is_subscribed(talk.session, owner)
    assert client.post(address, {"back": "yes"}).status_code == 200
    assert reporting.is_subscribed(talk.session, owner)
    one_click = {"List-Unsubscribe": "One-Click"}
    assert Client(enforce_csrf_checks=True).post(address, one_click).status_code == 200
    assert not reporting.is_subscribed(talk.session, owner)
    assert client.get(address + "x").status_code == 404


def test_subscribing_is_for_those_who_may_open_it(owner: User, client: Client) -> None:
    talk = Talk(owner)
    address = f"/api/sessions/{talk.session.public_id}/subscription"
    client.force_login(a_user("stranger"))
    assert client.post(address).status_code in (403, 404)
    client.force_login(owner)
    for change, now in ((client.delete, False), (client.post, True)):
        assert change(address).json() == {"subscribed": now}
        assert client.get(address).json() == {"subscribed": now}
    missing = f"/api/sessions/{uuid4()}/subscription"
    assert client.post(missing).status_code == 404
