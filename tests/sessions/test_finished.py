"""The page of a finished session without a browser: what it is told, and to whom."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings
from scene import a_session, a_user

from sessions import access, csp, finished
from sessions.models import Participant, Recording, State, Tier, VoiceSession, Waveform

pytestmark = pytest.mark.django_db
SECOND = 48_000


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings) -> None:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"


@pytest.fixture
def ada() -> User:
    return a_user("ada")


@pytest.fixture
def talk(ada: User) -> VoiceSession:
    return a_session(State.READY, owner=ada, title="Planning")


def a_voice(session: VoiceSession, name: str) -> Participant:
    return Participant.objects.create(session=session, key=name, name=name)


def a_file(
    session: VoiceSession,
    person: Participant | None,
    *,
    tier: Tier = Tier.FRAGMENT,
    start_s: int = 0,
    seconds: int = 10,
    loud: int = 0,
    connection: str = "a",
) -> Recording:
    row = Recording.objects.create(
        session=session,
        participant=person,
        tier=tier,
        connection=connection,
        key=f"recordings/{uuid.uuid4()}",
        start=start_s * SECOND,
        duration=seconds * SECOND,
        state=Recording.State.STORED,
    )
    if loud:
        pairs = np.full((seconds * 20, 2), loud, np.int8)
        Waveform.objects.create(recording=row, peaks=pairs.tobytes())
    return row


def page_of(session: VoiceSession, user: User | None = None, token: str = "") -> Any:
    client = Client(headers={"host": "localhost"})
    if user:
        client.force_login(user)
    query = {"token": token} if token else {}
    return client.get(f"/session/{session.public_id}", query)


def config_of(answer: Any) -> dict[str, Any]:
    content = answer.content.decode()
    found = re.search(r'id="session-config"[^>]*>(.*?)</script>', content, re.DOTALL)
    assert found
    config: dict[str, Any] = json.loads(found[1])
    return config


@pytest.mark.parametrize(
    ("state", "is_over"),
    [
        (State.ACTIVE, False),
        (State.WAITING, False),
        (State.FINISHING, True),
        (State.READY, True),
        (State.FAILED, True),
    ],
)
def test_a_session_that_is_over_has_a_page_of_its_own(
    ada: User, state: State, *, is_over: bool
) -> None:
    session = a_session(state, owner=ada)
    assert finished.is_over(session) is is_over
    assert (b"player/page.js" in page_of(session, ada).content) is is_over


def test_one_that_never_began_is_shown_too(ada: User) -> None:
    session = a_session(State.FAILED, owner=ada, started_at=None, ended_at=None)
    config = config_of(page_of(session, ada))
    assert (config["started_at"], config["duration_ms"]) == ("", 0)


def test_it_tells_the_page_where_the_sound_is(talk: VoiceSession, ada: User) -> None:
    ben = a_voice(talk, "Ben")
    fragment = a_file(talk, ben, start_s=3)
    master = a_file(talk, None, tier=Tier.MASTER, seconds=400)
    config = config_of(page_of(talk, ada))
    (piece,) = config["pieces"]
    assert (piece["start_ms"], piece["duration_ms"]) == (3_000, 10_000)
    assert piece["participant"] == str(ben.public_id)
    assert piece["url"].endswith(f"/download?recording={fragment.pk}")
    assert config["master"]["url"].endswith(f"recording={master.pk}")
    assert config["duration_ms"] == 400_000
    assert config["voices"] == [{"id": str(ben.public_id), "name": "Ben"}]
    assert config["sound"] == "there"


def test_it_says_why_there_is_no_sound(ada: User) -> None:
    never = a_session(State.READY, owner=ada, record=False)
    gone = a_session(State.READY, owner=ada)
    coming = a_session(State.FINISHING, owner=ada)
    told = [page_of(one, ada) for one in (never, gone, coming)]
    assert [config_of(one)["sound"] for one in told] == ["never", "gone", "coming"]
    assert b"was not recorded" in told[0].content
    assert b"no sound of this session any more" in told[1].content
    assert b"being put together" in told[2].content


def test_what_was_erased_of_somebody_is_not_told(talk: VoiceSession, ada: User) -> None:
    Participant.objects.create(session=talk, key="erased:1", name="Gone")
    assert config_of(page_of(talk, ada))["voices"] == []


def test_the_owner_is_shown_how_to_change_it(talk: VoiceSession, ada: User) -> None:
    config = config_of(page_of(talk, ada))
    assert (config["may_edit"], config["may_share"]) == (True, True)
    assert config["token"] == ""


def test_whoever_came_by_a_link_only_reads(talk: VoiceSession) -> None:
    token = access.token_of(talk)
    answer = page_of(talk, token=token)
    config = config_of(answer)
    assert (config["may_edit"], config["may_share"]) == (False, False)
    assert config["token"] == token
    assert b"Make a link" not in answer.content
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_nothing_is_changed_read_only(talk: VoiceSession, ada: User) -> None:
    assert finished.rights_of(talk, ada) == finished.Rights(
        may_edit=True, may_share=True
    )
    assert finished.rights_of(talk, ada, read_only=True) == finished.Rights()


def test_each_answer_has_a_nonce_of_its_own(talk: VoiceSession, ada: User) -> None:
    answers = [page_of(talk, ada) for _ in range(2)]
    nonces = {config_of(answer)["nonce"] for answer in answers}
    assert len(nonces) == 2
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert f"style-src 'self' 'nonce-{config_of(answer)['nonce']}'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy


def test_sound_may_come_from_one_more_place() -> None:
    policy = csp.policy("localhost", media="https://bucket.example")
    assert "media-src 'self' https://bucket.example;" in policy


def test_titles_stay_text(ada: User) -> None:
    session = a_session(State.READY, owner=ada, title="</script><b>x</b>")
    a_voice(session, "</script><b>y</b>")
    content = page_of(session, ada).content.decode()
    assert "<b>x</b>" not in content
    assert "<b>y</b>" not in content


def test_the_page_asks_as_often_however_long_it_was(
    talk: VoiceSession, ada: User
) -> None:
    a_file(talk, a_voice(talk, "Ben"))
    with CaptureQueriesContext(
        connection,
    ) as few:
        page_of(talk, ada)
    for n in range(20):
        a_file(talk, a_voice(talk, f"Guest {n}"), connection=str(n))
    with CaptureQueriesContext(connection) as many:
        page_of(talk, ada)
    assert len(many) == len(few)


def test_waveforms_stand_on_one_timeline(talk: VoiceSession, ada: User) -> None:
    ben, zoe = a_voice(talk, "Ben"), a_voice(talk, "Zoë")
    a_file(talk, ben, start_s=0, seconds=60, loud=100)
    a_file(talk, ben, start_s=240, seconds=60, loud=-50, connection="b")
    a_file(talk, zoe, start_s=150, seconds=150, loud=-128, connection="c")
    found = waveforms(talk, ada, points=10)
    assert found["duration_ms"] == 300_000
    assert [lane["participant"] for lane in found["lanes"]] == [
        str(ben.public_id),
        str(zoe.public_id),
    ]
    assert found["lanes"][0]["points"] == [100, 100, 0, 0, 0, 0, 0, 0, 50, 50]
    assert found["lanes"][1]["points"] == [0, 0, 0, 0, 0, *[127] * 5]


def test_a_chunk_is_drawn_until_there_is_a_fragment(
    talk: VoiceSession, ada: User
) -> None:
    ben = a_voice(talk, "Ben")
    a_file(talk, ben, tier=Tier.CHUNK, seconds=30, loud=60)
    a_file(talk, ben, tier=Tier.CHUNK, start_s=30, seconds=30, loud=70)
    assert waveforms(talk, ada, points=10)["lanes"][0]["points"][:3] == [60, 70, 0]
    a_file(talk, ben, seconds=60, loud=20)
    assert waveforms(talk, ada, points=10)["lanes"][0]["points"][:3] == [20, 20, 0]


def test_no_more_points_than_there_are(talk: VoiceSession, ada: User) -> None:
    a_file(talk, a_voice(talk, "Ben"), loud=9)
    assert len(waveforms(talk, ada, points=20_000)["lanes"][0]["points"]) == 6_000


def waveforms(session: VoiceSession, user: User, *, points: int) -> dict[str, Any]:
    client = Client()
    client.force_login(user)
    url = f"/api/sessions/{session.public_id}/waveforms"
    answer = client.get(url, {"points": points})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_waveforms_are_for_those_who_may_hear(talk: VoiceSession) -> None:
    url = f"/api/sessions/{talk.public_id}/waveforms"
    assert Client().get(url).status_code == 401
    stranger = Client()
    stranger.force_login(a_user("eve"))
    assert stranger.get(url).status_code in (403, 404)
    own = stranger.get(url, {"token": access.token_of(talk)})
    assert own.status_code == 200
    assert stranger.get(url, {"points": 0}).status_code in (403, 404, 422)
