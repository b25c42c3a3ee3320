"""The HTTP API: who is answered, and what."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError

import pytest
from django.test import Client
from scene import a_user, an_open_session
from stack import Stack

from sessions import finish, tokens
from sessions.models import ApiToken, State, VoiceSession
from transcripts.models import Utterance, UtteranceState

pytestmark = pytest.mark.django_db(transaction=True)

Headers = dict[str, str]


@pytest.fixture(autouse=True)
def _no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "ring", lambda pk: None)


@pytest.fixture
def ada() -> Headers:
    """The Authorization of a user's program."""
    ApiToken.objects.create(user=a_user("ada"), token_sha256=tokens.digest("ada's"))
    return {"Authorization": "Bearer ada's"}


def create(client: Client, headers: Headers, **body: Any) -> Any:
    return client.post(
        "/api/sessions", json.dumps(body), "application/json", headers=headers
    )


def test_a_session_is_opened_with_all_its_addresses(
    client: Client, ada: Headers
) -> None:
    answer = create(client, ada, title=" Plan\x00ning ", language="uk", record=False)
    assert answer.status_code == 201
    made = answer.json()
    assert made["state"] == "active"
    public_id, token = made["id"], made["token"]
    root = "http://testserver"
    assert made["page_url"] == f"{root}/session/{public_id}?token={token}"
    assert (
        made["audio_url"] == f"ws://testserver/session/{public_id}/audio?token={token}"
    )
    assert made["live_url"].startswith(f"ws://testserver/session/{public_id}/live?")
    assert made["events_url"].startswith(f"{root}/api/sessions/{public_id}/events?")
    row = VoiceSession.objects.get(public_id=public_id)
    assert (row.title, row.language, row.record) == ("Plan ning", "uk", False)
    assert row.owner is not None
    assert row.started_at is not None


def test_a_sign_in_needs_the_csrf_token_for_changes() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(a_user())
    refused = create(client, {})
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")
    token = client.get("/").cookies["csrftoken"].value
    assert create(client, {"X-CSRFToken": token}).status_code == 201


def test_the_list_is_ones_own_in_pages_and_filtered(
    client: Client, ada: Headers
) -> None:
    for _ in range(3):
        create(client, ada)
    an_open_session(owner=a_user("ben"))
    VoiceSession.objects.filter(pk=VoiceSession.objects.earliest("pk").pk).update(
        state=State.FAILED
    )

    def listed(query: str) -> tuple[int, int]:
        found = client.get(f"/api/sessions{query}", headers=ada).json()
        return len(found["items"]), found["count"]

    assert listed("") == (3, 3)
    assert listed("?page_size=2") == (2, 3)
    assert listed("?page_size=2&page=2") == (1, 3)
    assert listed("?page=9") == (0, 3)
    assert listed("?state=active") == (2, 2)
    assert listed("?source=phone") == (0, 0)


def test_it_is_alive_for_its_token_and_gone_when_deleted(client: Client) -> None:
    made = an_open_session()
    url = f"/api/sessions/{made.session.public_id}"
    bearer = {"Authorization": f"Bearer {made.token}"}
    assert client.get(url, headers=bearer).json()["state"] == "active"
    assert client.get(f"{url}?token={made.token}").status_code == 200
    VoiceSession.objects.update(state=State.DELETED)
    gone = client.get(url, headers=bearer)
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")


def test_it_is_ended_once(stack: Stack) -> None:
    """On a running server: the end crosses its threads and its event loop."""
    made = stack.new_session()
    url = f"/sessions/{made['id']}/end"
    assert stack.api("POST", url)["state"] == "finishing"
    with pytest.raises(HTTPError) as refused:
        stack.api("POST", url)
    assert (refused.value.code, json.load(refused.value)["code"]) == (409, "ended")


def test_who_only_has_the_link_does_not_end_it(client: Client) -> None:
    made = an_open_session(owner=a_user("ada"))
    bearer = {"Authorization": f"Bearer {made.token}"}
    url = f"/api/sessions/{made.session.public_id}/end"
    answer = client.post(url, headers=bearer)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    made.session.refresh_from_db()
    assert made.session.is_open


@pytest.mark.parametrize("suffix", ["txt", "srt", "vtt", "json", "jsonl"])
def test_the_transcript_comes_in_every_format(client: Client, suffix: str) -> None:
    made = an_open_session()
    person = made.session.participants.create(key="a", name="Ada")
    Utterance.objects.create(
        session=made.session,
        participant=person,
        start=48_000,
        end=96_000,
        audio_start=48_000,
        state=UtteranceState.DONE,
        text="hello team",
    )
    url = f"/api/sessions/{made.session.public_id}/transcript.{suffix}"
    answer = client.get(f"{url}?token={made.token}&download=true")
    assert answer.status_code == 200
    assert "hello team" in answer.content.decode()
    assert f'.{suffix}"' in answer.headers["Content-Disposition"]
    assert client.get(url).status_code == 401


def test_a_session_token_opens_neither_the_list_nor_new_sessions(
    client: Client,
) -> None:
    bearer = {"Authorization": f"Bearer {an_open_session().token}"}
    for answer in (client.get("/api/sessions", headers=bearer), create(client, bearer)):
        assert (answer.status_code, answer.json()["code"]) == (401, "sign_in")


def test_a_stranger_is_refused(client: Client) -> None:
    client.force_login(a_user("stranger"))
    session = an_open_session(owner=a_user("ada")).session
    url = f"/api/sessions/{session.public_id}"
    assert client.get(url).status_code == 404
    assert client.get(f"{url}/transcript.txt").status_code == 404


def test_the_document_describes_every_route(client: Client) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    assert {path.removeprefix("/api") for path in paths if "/calls" in path} == {
        "/calls",
        "/calls/{uuid}",
        "/calls/{uuid}/next",
        "/calls/{uuid}/transfer",
    }
    ours = {path for path in paths if path.startswith("/api/sessions")}
    assert {path.removeprefix("/api/sessions") for path in ours} == {
        "",
        "/{public_id}",
        "/{public_id}/bookmarks",
        "/{public_id}/bookmarks/{bookmark}",
        "/{public_id}/end",
        "/{public_id}/download",
        "/{public_id}/events",
        "/{public_id}/forget-me",
        "/{public_id}/keeping",
        "/{public_id}/participants/{participant}",
        "/{public_id}/participants/{participant}/merge",
        "/{public_id}/recordings",
        "/{public_id}/recordings/{recording}/peaks.{suffix}",
        "/{public_id}/shares",
        "/{public_id}/shares/{share_id}",
        "/{public_id}/subscription",
        "/{public_id}/tones",
        "/{public_id}/tracks.zip",
        "/{public_id}/tracks/{participant}.{suffix}",
        "/{public_id}/transcript.{suffix}",
        "/{public_id}/utterances/{utterance}",
        "/{public_id}/utterances/{utterance}/history",
        "/{public_id}/waveforms",
    }
    assert client.get("/api/docs").status_code == 200
