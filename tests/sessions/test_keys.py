from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions import keys
from sessions.keys import BadKeyError, Parsed

SESSION = uuid.UUID("11111111-2222-4333-8444-555555555555")
PERSON = uuid.UUID("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")
BEGAN = datetime(2026, 11, 21, 8, 30, 0, 123_999, tzinfo=UTC)
HOME = f"recordings/{SESSION}"
WHO_WHEN = f"{PERSON}-20261121T083000.123Z"


def test_each_tier_has_its_place() -> None:
    assert keys.chunk_key(SESSION, participant=PERSON, started_at=BEGAN) == (
        f"{HOME}/chunks/{WHO_WHEN}.mp3"
    )
    assert keys.fragment_key(SESSION, participant=PERSON, started_at=BEGAN) == (
        f"{HOME}/full/FULL-{WHO_WHEN}.mp3"
    )
    assert keys.master_key(SESSION) == f"{HOME}/master/MASTER-{SESSION}.mp3"
    assert keys.transcript_key(SESSION, suffix="jsonl") == (
        f"{HOME}/transcript-{SESSION}.jsonl"
    )
    assert keys.original_key(
        SESSION, participant=PERSON, started_at=BEGAN, suffix="ogg"
    ) == (f"{HOME}/original/{WHO_WHEN}.ogg")


def test_a_time_is_told_in_utc() -> None:
    rome = BEGAN.astimezone(timezone(timedelta(hours=1)))
    assert keys.stamp(rome) == "20261121T083000.123Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(AssertionError):
        keys.stamp(datetime(2026, 11, 21))  # noqa: DTZ001


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_a_key_tells_what_it_was_made_of(began: datetime) -> None:
    told = began.replace(microsecond=began.microsecond // 1000 * 1000)
    chunk = keys.chunk_key(SESSION, participant=PERSON, started_at=began)
    full = keys.fragment_key(SESSION, participant=PERSON, started_at=began)
    original = keys.original_key(
        SESSION, participant=PERSON, started_at=began, suffix="flac"
    )
    assert keys.parse(chunk) == Parsed("chunk", SESSION, PERSON, told)
    assert keys.parse(full) == Parsed("fragment", SESSION, PERSON, told)
    assert keys.parse(original) == Parsed("original", SESSION, PERSON, told)


def test_a_key_of_everybody_tells_its_session() -> None:
    master = keys.master_key(SESSION)
    transcript = keys.transcript_key(SESSION, suffix="txt")
    assert keys.parse(master) == Parsed("master", SESSION)
    assert keys.parse(transcript) == Parsed("transcript", SESSION)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "recordings/x/chunks/y.mp3",
        f"{HOME}/master/MASTER-{PERSON}.mp3",
        f"{HOME}/chunks/{PERSON}-20260231T083000.123Z.mp3",
        f"{HOME}/chunks/{WHO_WHEN}.mp3.part",
        f"{HOME}/chunks/{WHO_WHEN}.mp3\n",
    ],
)
def test_another_key_tells_nothing(key: str) -> None:
    assert keys.parse(key) is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "recordings/../../etc/passwd",
        "recordings/./x",
        "recordings//x",
        "recordings/x/",
        "recordings/.hidden",
        "..",
        "recordings\\..\\x",
        "recordings/a b",
        "recordings/ä",
        "recordings/x\n",
        "recordings/x\0",
        "recordings/" + "x" * 201,
        "x/" * 500 + "x",
    ],
)
def test_what_could_lead_elsewhere_is_refused(key: str) -> None:
    with pytest.raises(BadKeyError):
        keys.check(key)
    assert not keys.is_key(key)


def test_what_was_made_here_is_no_foreign_key() -> None:
    key = keys.chunk_key(SESSION, participant=PERSON, started_at=BEGAN)
    assert keys.check(key) == key


def test_a_connections_name_says_whose_it_is() -> None:
    assert keys.participant_of(f"{WHO_WHEN}") == PERSON
    assert keys.participant_of(str(PERSON)) is None
    assert keys.participant_of("../lost+found") is None
