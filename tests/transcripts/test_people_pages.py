"""The pages of one's own data, the API of one session, and the admin's page."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings
from recorded import Recorded
from scene import a_user

from sessions import access, finish, mixing, recordings
from sessions.models import Erasure, Participant, VoiceSession
from transcripts import chores, doorbell, mydata

pytestmark = pytest.mark.django_db

ERASE = "/admin/voice_sessions/erasure/erase/"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    settings.REPORT_EMAILS = False
    for module in (recordings, finish, mixing):
        monkeypatch.setattr(module, "ring", lambda _: None)
    monkeypatch.setattr(doorbell, "ring", lambda *_, **__: True)


class Talk(Recorded):
    """Ada spoke with her account, Bob with none."""

    def __init__(self, ada: User | None = None) -> None:
        super().__init__(title="A talk")
        self.ada = self.joins(1, "Ada L")
        self.bob = self.joins(2, "Bob")
        Participant.objects.filter(pk=self.ada.pk).update(user=ada)
        self.sounds(self.ada, at_s=1.0)
        self.says(self.ada, "a secret")
        self.says(self.bob, "good morning", at_ms=3000)


@pytest.fixture
def ada() -> User:
    return a_user("ada")


@pytest.fixture
def hers(ada: User) -> Client:
    client = Client()
    client.force_login(ada)
    return client


def test_a_page_tells_what_is_kept_of_them_in_numbers(ada: User, hers: Client) -> None:
    Talk(ada).ends()
    page = hers.get("/me/").content.decode()
    assert "Lines you said" in page
    assert "<dd>1</dd>" in page
    assert Client().get("/me/").status_code == 302


def test_they_erase_everything_of_theirs_and_get_a_receipt(
    ada: User, hers: Client
) -> None:
    talk = Talk(ada)
    talk.ends()
    hers.post("/me/erase", {"word": ""})
    assert not Erasure.objects.exists()
    answer = hers.post("/me/erase", {"word": "Erase"})
    made = Erasure.objects.get()
    assert answer.url == f"/receipt/{made.public_id}"  # type: ignore[attr-defined]
    assert "Being erased" in Client().get(answer.url).content.decode()  # type: ignore[attr-defined]
    assert chores.forget(made.pk)
    assert "Everything is erased" in Client().get(answer.url).content.decode()  # type: ignore[attr-defined]
    text = Client().get(f"{answer.url}.txt").content.decode()  # type: ignore[attr-defined]
    assert "lines: 1" in text
    assert "ada" not in text.lower().replace("made", "")
    assert talk.words == ["good morning"]


def test_a_receipt_that_is_none_is_not_found(client: Client) -> None:
    assert client.get(f"/receipt/{uuid.uuid4()}").status_code == 404
    assert client.get(f"/receipt/{uuid.uuid4()}.txt").status_code == 404


def test_pages_ask_as_often_for_many_sessions_as_for_one(
    ada: User, hers: Client, django_assert_max_num_queries: object
) -> None:
    for _ in range(4):
        Talk(ada)
    with django_assert_max_num_queries(14):  # type: ignore[operator]
        hers.get("/me/")
    with django_assert_max_num_queries(14):  # type: ignore[operator]
        mydata.collected(ada)


# --- one session ----------------------------------------------------------------------


def keeping(client: Client, session: VoiceSession, **body: object) -> tuple[int, dict]:
    answer = client.patch(
        f"/api/sessions/{session.public_id}/keeping",
        json.dumps(body),
        content_type="application/json",
    )
    return answer.status_code, answer.json()


def test_its_owner_decides_how_long_it_is_kept(ada: User, hers: Client) -> None:
    session = Talk().session
    VoiceSession.objects.filter(pk=session.pk).update(owner=ada)
    status, told = keeping(hers, session, keep=True)
    assert (status, told["sentence"]) == (200, "Audio for ever, text for ever.")
    day = (timezone.now() + timedelta(days=3)).date().isoformat()
    status, told = keeping(hers, session, keep=False, until=day)
    assert (status, told["until"], told["keep"]) == (200, day, False)
    assert keeping(hers, session, keep=True, until=day)[0] == 422
    assert keeping(hers, session, keep=False, until="2001-01-01")[0] == 422
    assert keeping(hers, session, keep="perhaps")[0] == 422


def test_nobody_else_does(hers: Client) -> None:
    session = Talk().session
    assert keeping(hers, session, keep=True)[0] in (403, 404)
    assert keeping(Client(), session, keep=True)[0] == 401
    link = Client(headers={"Authorization": f"Bearer {access.token_of(session)}"})
    assert keeping(link, session, keep=True)[0] == 403


def forget(session: VoiceSession, *streams: object, token: str = "") -> int:
    client = Client()
    token = token or access.token_of(session)
    answer = client.post(
        f"/api/sessions/{session.public_id}/forget-me",
        json.dumps({"streams": list(map(str, streams))}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    return answer.status_code


def test_whoever_knows_a_stream_has_it_forgotten() -> None:
    talk, stream = Talk(), uuid.uuid4()
    Participant.objects.filter(pk=talk.ada.pk).update(key=str(stream))
    assert forget(talk.session, stream) == 202
    assert forget(talk.session, stream) == 202
    assert "a secret" not in talk.words
    talk.ada.refresh_from_db()
    assert talk.ada.opted_out_at is not None
    talk.ends()
    for one in Erasure.objects.all():
        assert chores.forget(one.pk)
    assert not [one for one in talk.files if str(talk.ada.public_id) in one]


def test_nobody_forgets_others() -> None:
    talk = Talk()
    assert forget(talk.session, talk.bob.public_id) == 202  # what everybody can see
    assert forget(talk.session, uuid.uuid4()) == 202
    assert forget(talk.session, "me") == 422
    assert forget(talk.session) == 422
    assert forget(talk.session, uuid.uuid4(), token="wrong") in (403, 404)
    assert not Erasure.objects.exists()
    assert "good morning" in talk.words


# --- the admin ------------------------------------------------------------------------


def test_an_admin_sees_first_what_would_go(admin_client: Client) -> None:
    talk = Talk()
    talk.ends()
    asked = {"kind": "discord", "value": "1", "step": "look"}
    page = admin_client.post(ERASE, asked).content.decode()
    assert "lines: 1" in page
    assert not Erasure.objects.exists()
    answer = admin_client.post(ERASE, asked | {"step": "erase"})
    made = Erasure.objects.get()
    listed = reverse("admin:voice_sessions_erasure_change", args=[made.pk])
    assert answer.url == listed  # type: ignore[attr-defined]
    assert admin_client.get(listed).status_code == 200
    assert chores.forget(made.pk)
    assert talk.words == ["good morning"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("participant", "nobody"),
        ("participant", "219ed3b2-4cf3-4a04-846b-3d678853e069"),
        ("account", "nobody"),
        ("discord", ""),
        ("planet", "1"),
    ],
)
def test_nobody_is_told_as_such(admin_client: Client, kind: str, value: str) -> None:
    asked = {"kind": kind, "value": value, "step": "erase"}
    page = admin_client.post(ERASE, asked).content.decode()
    assert "Nobody of that name is known." in page
    assert not Erasure.objects.exists()


def test_only_who_was_given_it_may_erase_people() -> None:
    staff = a_user("mod", staff=True)
    client = Client()
    client.force_login(staff)
    assert client.get(ERASE).status_code == 403
    asked = {"codename": "add_erasure", "content_type__app_label": "voice_sessions"}
    staff.user_permissions.add(Permission.objects.get(**asked))
    assert client.get(ERASE).status_code == 200
    assert Client().get(ERASE).status_code == 302


def test_the_list_of_receipts_leads_there(admin_client: Client) -> None:
    page = admin_client.get("/admin/voice_sessions/erasure/").content.decode()
    assert ERASE in page


def test_an_admin_keeps_sessions(admin_client: Client) -> None:
    session = Talk().session
    url = "/admin/voice_sessions/voicesession/"
    chosen = {"action": "keep", "_selected_action": [session.pk]}
    assert admin_client.post(url, chosen).status_code == 302
    session.refresh_from_db()
    assert session.keep_forever
    page = admin_client.get(f"{url}{session.pk}/change/").content.decode()
    assert "Audio for ever" in page
    admin_client.post(url, chosen | {"action": "do_not_keep"})
    session.refresh_from_db()
    assert not session.keep_forever
