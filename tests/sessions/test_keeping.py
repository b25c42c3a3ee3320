"""Until when what is kept, in the settings' words and in people's."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from scene import NOON, a_session

from sessions import events, keeping
from sessions.errors import VoiceError
from sessions.models import Source, State, Tier, VoiceSession

FOR_EVER = "Audio for ever, text for ever."


@pytest.fixture(autouse=True)
def _days(settings: Settings) -> None:
    settings.KEEP_MASTERS_DAYS, settings.KEEP_TRANSCRIPTS_DAYS = 0, 0
    settings.KEEP_FRAGMENTS_DAYS = 90
    for source in Source.values:
        setattr(settings, f"KEEP_{source.upper()}_DAYS", {})


def said(session: VoiceSession) -> str:
    return keeping.sentence(keeping.of(session))


def unsaved(**fields: object) -> VoiceSession:
    ended = {"started_at": NOON, "ended_at": NOON + timedelta(minutes=5)}
    return VoiceSession(source="browser", **(ended | fields))


def test_without_days_all_is_kept_for_ever() -> None:
    assert said(unsaved()) == FOR_EVER


def test_sound_and_text_have_days_of_their_own(settings: Settings) -> None:
    settings.KEEP_MASTERS_DAYS = 30
    assert said(unsaved()) == "Audio until 3 June 2026, text for ever."
    settings.KEEP_TRANSCRIPTS_DAYS = 2
    assert said(unsaved()) == "Audio until 3 June 2026, text until 6 May 2026."


def test_before_the_end_days_are_named(settings: Settings) -> None:
    settings.KEEP_MASTERS_DAYS, settings.KEEP_TRANSCRIPTS_DAYS = 30, 1
    told = "Audio for 30 days after the end, text for 1 day after the end."
    assert said(unsaved(ended_at=None)) == told


def test_a_source_may_have_days_of_its_own(settings: Settings) -> None:
    settings.KEEP_MASTERS_DAYS = 30
    settings.KEEP_PHONE_DAYS = {"masters": 3}
    settings.KEEP_DISCORD_DAYS = {"masters": 0}
    assert keeping.days_of(Tier.MASTER, "browser") == 30
    assert keeping.days_of(Tier.MASTER, "phone") == 3
    assert keeping.days_of(Tier.MASTER, "discord") == 0


def test_nothing_of_a_voice_outlasts_its_master(settings: Settings) -> None:
    settings.KEEP_MASTERS_DAYS = 30
    assert keeping.days_of(Tier.FRAGMENT, "browser") == 30
    settings.KEEP_CHUNKS_DAYS = 0
    assert keeping.days_of(Tier.CHUNK, "browser") == 30
    assert keeping.days_of(Tier.TRANSCRIPT, "browser") == 0


def test_a_session_that_is_not_recorded_says_so() -> None:
    assert said(unsaved(record=False)).startswith("Nothing is kept")


def test_what_is_gone_is_told(settings: Settings) -> None:
    settings.KEEP_MASTERS_DAYS = 30
    gone = unsaved(sound_deleted_at=NOON + timedelta(days=31))
    assert said(gone) == "Audio deleted on 4 June 2026, text for ever."


def test_ones_own_word_comes_before_the_settings(settings: Settings) -> None:
    settings.KEEP_MASTERS_DAYS = 30
    assert said(unsaved(keep_forever=True)) == FOR_EVER
    dated = unsaved(keep_until=date(2027, 3, 4))
    assert said(dated) == "Audio until 4 March 2027, text until 4 March 2027."


@pytest.mark.django_db
def test_a_decision_is_kept_and_told() -> None:
    session = a_session(State.READY)
    assert keeping.decide(session, keep=True).keep_forever
    tomorrow = timezone.now().date() + timedelta(days=1)
    now = keeping.decide(session, keep=False, until=tomorrow)
    assert (now.keep_forever, now.keep_until) == (False, tomorrow)
    log = events.replay(session.pk, after=0)
    assert [one.data for one in log if one.type == "keeping"] == [
        {"keep": True, "until": None},
        {"keep": False, "until": tomorrow.isoformat()},
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("day", [date(2020, 1, 1), date(9999, 12, 31)])
def test_a_day_that_is_none_to_come_is_refused(day: date) -> None:
    session = a_session(State.READY)
    with pytest.raises(VoiceError) as refused:
        keeping.decide(session, keep=False, until=day)
    assert refused.value.code == "invalid"


@pytest.mark.django_db
def test_nothing_is_decided_over_what_is_not_kept() -> None:
    session = a_session(State.READY, record=False)
    with pytest.raises(VoiceError):
        keeping.decide(session, keep=True)
