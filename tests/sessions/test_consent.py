"""Nobody is written down who was not told and has not agreed."""

from __future__ import annotations

import uuid

import pytest
from clients import (
    PAGE,
    STEP,
    STREAM,
    Client,
    Ears,
    audio,
    in_db,
    nothing_held,
    present,
)
from pytest_django.fixtures import Settings
from scene import a_user, an_open_session

from sessions import consent, consumers, finish, optout
from sessions.models import Participant, VoiceSession
from sessions.opening import Opened

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "ring", lambda _: None)


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Ears:
    made = Ears()
    monkeypatch.setattr(consumers, "open_sinks", made)
    return made


@pytest.fixture
async def opened() -> Opened:
    return await in_db(an_open_session)()


@pytest.mark.parametrize("said", ["", "false", "2025.9-abc", "2026.1"])
async def test_nothing_is_taken_of_whoever_has_not_agreed(
    opened: Opened, ears: Ears, said: str
) -> None:
    client = await Client(audio(opened, consent=said)).__aenter__()
    await client.says(STREAM[:STEP])
    code, reason = await client.closing()
    assert (code, "consent" in reason) == (4012, True)
    await client.disconnect(timeout=5)
    assert not ears.opened
    assert not await Participant.objects.aexists()
    assert nothing_held()


async def test_when_and_to_what_they_agreed_is_kept(opened: Opened) -> None:
    version = consent.told(opened.session).version
    async with Client(audio(opened, consent=version)) as client:
        await client.speaks(0, STEP)
    person = await Participant.objects.aget()
    assert person.consent_to == version
    assert person.consented_at is not None


async def test_whoever_is_signed_in_speaks_with_their_account(opened: Opened) -> None:
    ada = await in_db(a_user)()
    async with Client(audio(opened), user=ada, headers=PAGE) as client:
        await client.speaks(0, STEP)
    assert (await Participant.objects.aget()).user_id == ada.pk


async def test_who_opts_out_elsewhere_is_cut_off_and_not_let_in_again(
    opened: Opened, ears: Ears
) -> None:
    stream = uuid.uuid4()
    async with Client(audio(opened, stream=stream)) as client:
        await client.hears()
        await client.speaks(0, STEP)
        person = await Participant.objects.aget()
        await in_db(optout.opt_out)(opened.session.pk, person.pk)
        assert (await client.closing())[0] == 4013
    async with Client(audio(opened, stream=stream)) as client:
        assert (await client.closing())[0] == 4013
    assert await present(opened) == []
    assert nothing_held()


def test_the_text_says_what_is_kept_and_for_how_long(settings: Settings) -> None:
    settings.KEEP_MASTERS_DAYS, settings.KEEP_TRANSCRIPTS_DAYS = 30, 0
    settings.KEEP_BROWSER_DAYS = {}
    text = " ".join(consent.told(VoiceSession(source="browser")).lines)
    assert "recorded" in text
    assert "Audio for 30 days after the end, text for ever." in text


def test_other_days_are_another_text(settings: Settings) -> None:
    session = VoiceSession(source="browser")
    before = consent.told(session).version
    assert consent.told(session).version == before
    settings.KEEP_BROWSER_DAYS = {"masters": 7}
    assert consent.told(session).version != before


def test_a_session_that_keeps_nothing_says_so() -> None:
    text = " ".join(consent.told(VoiceSession(source="browser", record=False)).lines)
    assert "recorded" not in text
    assert "deleted at the end" in text
