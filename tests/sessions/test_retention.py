"""What goes, and when: never before something better is kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from scene import NOON, a_session

from sessions import events, keeping, keys, mixing, recordings, retention
from sessions.models import Recording, State, Tier, VoiceSession
from sessions.recordings import Made
from sessions.storage import LocalStorage, UnreachableError, storage

pytestmark = pytest.mark.django_db

WHO = "0b6d2a5e-5a43-4f44-9d58-2a7d4c6c9f10-20260504T120000.000Z"
SOUND = {
    Tier.CHUNK: f"chunks/{WHO}.mp3",
    Tier.FRAGMENT: f"full/FULL-{WHO}.mp3",
    Tier.MASTER: "master/MASTER-{}.mp3",
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings) -> Path:
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.DATA_DIR = tmp_path
    settings.KEEP_CHUNKS_DAYS, settings.KEEP_FRAGMENTS_DAYS = 7, 90
    settings.KEEP_MASTERS_DAYS = settings.KEEP_TRANSCRIPTS_DAYS = 0
    return tmp_path


def a_file(here: Path, session: VoiceSession, tier: Tier, name: str) -> Recording:
    key = f"{keys.session_prefix(session.public_id)}{name}"
    path = here / "file"
    path.write_bytes(name.encode())
    found = storage().put(key, path, content_type="audio/mpeg")
    row = recordings.note(Made(session.pk, tier, key, path, start=0, duration=1))
    recordings.stored(row, found)
    return row


def kept(here: Path) -> set[str]:
    rows = {row.key.rsplit("/", 1)[-1] for row in Recording.objects.all()}
    files = {p.name for p in (here / "storage" / "recordings").rglob("*.mp3")}
    assert rows == files
    return rows


def test_pieces_go_first_and_the_master_never(here: Path) -> None:
    session = a_session(State.READY)
    for tier in (Tier.CHUNK, Tier.FRAGMENT, Tier.MASTER):
        a_file(here, session, tier, f"{tier.value}.mp3")
    assert retention.sweep(now=NOON + timedelta(days=6)) == 0
    assert retention.sweep(now=NOON + timedelta(days=8)) == 1
    assert kept(here) == {"fragment.mp3", "master.mp3"}
    assert retention.sweep(now=NOON + timedelta(days=900)) == 1
    assert kept(here) == {"master.mp3"}


def test_nothing_goes_without_a_master(here: Path) -> None:
    session = a_session(State.READY)
    a_file(here, session, Tier.CHUNK, "chunk.mp3")
    assert retention.sweep(now=NOON + timedelta(days=900)) == 0


def test_nothing_goes_before_the_session_is_ready(here: Path) -> None:
    session = a_session(State.FINISHING)
    a_file(here, session, Tier.CHUNK, "chunk.mp3")
    a_file(here, session, Tier.MASTER, "master.mp3")
    assert retention.sweep(now=NOON + timedelta(days=900)) == 0


def test_no_days_keep_for_ever(here: Path, settings: Settings) -> None:
    settings.KEEP_CHUNKS_DAYS = 0
    session = a_session(State.READY)
    a_file(here, session, Tier.CHUNK, "chunk.mp3")
    a_file(here, session, Tier.MASTER, "master.mp3")
    assert retention.sweep(now=NOON + timedelta(days=900)) == 0


def test_all_sound_goes_with_its_days_and_the_row_says_so(
    here: Path, settings: Settings
) -> None:
    settings.KEEP_MASTERS_DAYS = 30
    session = a_session(State.READY)
    for tier in (Tier.CHUNK, Tier.FRAGMENT, Tier.MASTER):
        a_file(here, session, tier, SOUND[tier].format(session.public_id))
    assert retention.sweep_sound(now=NOON + timedelta(days=29)) == 0
    assert retention.sweep_sound(now=NOON + timedelta(days=31)) == 1
    assert kept(here) == set()
    session.refresh_from_db()
    assert session.sound_deleted_at == NOON + timedelta(days=31)
    assert events.replay(session.pk, after=0)[-1].data == {"what": "sound"}
    assert retention.sweep_sound(now=NOON + timedelta(days=99)) == 0


def test_a_source_may_be_kept_shorter(here: Path, settings: Settings) -> None:
    settings.KEEP_MASTERS_DAYS, settings.KEEP_PHONE_DAYS = 30, {"masters": 3}
    phone, browser = a_session(State.READY), a_session(State.READY)
    VoiceSession.objects.filter(pk=phone.pk).update(source="phone")
    assert retention.sweep_sound(now=NOON + timedelta(days=4)) == 1
    browser.refresh_from_db()
    assert browser.sound_deleted_at is None


def test_what_somebody_asked_to_keep_stays_until_they_undo_it(
    here: Path, settings: Settings
) -> None:
    settings.KEEP_MASTERS_DAYS = 1
    session = a_session(State.READY)
    for tier in (Tier.CHUNK, Tier.MASTER):
        a_file(here, session, tier, SOUND[tier].format(session.public_id))
    keeping.decide(session, keep=True)
    late = NOON + timedelta(days=9000)
    assert retention.sweep(now=late) == retention.sweep_sound(now=late) == 0
    keeping.decide(session, keep=False)
    assert retention.sweep(now=late) + retention.sweep_sound(now=late) == 2


def test_a_day_of_its_own_comes_before_the_settings(settings: Settings) -> None:
    settings.KEEP_MASTERS_DAYS = 1
    session = a_session(State.READY, keep_until=(NOON + timedelta(days=9)).date())
    assert retention.sweep_sound(now=NOON + timedelta(days=9, hours=11)) == 0
    assert retention.sweep_sound(now=NOON + timedelta(days=10)) == 1
    session.refresh_from_db()
    assert session.sound_deleted_at is not None


def test_sound_without_a_master_goes_too_when_its_days_are_over(
    here: Path, settings: Settings
) -> None:
    settings.KEEP_MASTERS_DAYS = 30
    session = a_session(State.FAILED)
    a_file(here, session, Tier.CHUNK, SOUND[Tier.CHUNK].format(session.public_id))
    assert retention.sweep_sound(now=NOON + timedelta(days=31)) == 1
    assert kept(here) == set()


def test_a_session_that_runs_is_left_alone(settings: Settings) -> None:
    settings.KEEP_MASTERS_DAYS = 1
    a_session(State.ACTIVE)
    a_session(State.FINISHING)
    assert retention.sweep_sound(now=NOON + timedelta(days=900)) == 0


def test_storage_that_is_away_does_not_stop_the_others(
    here: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def refuses(*, now: object) -> int:
        raise UnreachableError("nobody answers")

    def sweeps(*, now: object) -> int:
        ran.append("sound")
        return 1

    monkeypatch.setattr(retention, "sweep", refuses)
    monkeypatch.setattr(retention, "sweep_sound", sweeps)
    with pytest.raises(UnreachableError):
        retention.run(now=NOON)
    assert ran == ["sound"]


def test_whoever_keeps_it_while_it_goes_comes_before_or_after(
    here: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never in between: then it would be said to be kept, and be gone."""
    settings.KEEP_MASTERS_DAYS = 1
    session = a_session(State.READY)
    a_file(here, session, Tier.MASTER, SOUND[Tier.MASTER].format(session.public_id))
    claim = retention._claim

    def keeps_first(row: VoiceSession, **when: datetime) -> bool:
        keeping.decide(row, keep=True)
        return claim(row, **when)

    monkeypatch.setattr(retention, "_claim", keeps_first)
    assert retention.sweep_sound(now=NOON + timedelta(days=9)) == 0
    assert len(kept(here)) == 1
    session.refresh_from_db()
    assert session.sound_deleted_at is None


def test_what_storage_would_not_let_go_goes_the_next_time(
    here: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEEP_MASTERS_DAYS = 1
    session = a_session(State.READY)
    a_file(here, session, Tier.MASTER, SOUND[Tier.MASTER].format(session.public_id))

    def refuses(self: object, keys: object) -> None:
        raise UnreachableError("nobody answers")

    with monkeypatch.context() as away:
        away.setattr(LocalStorage, "delete", refuses)
        with pytest.raises(UnreachableError):
            retention.sweep_sound(now=NOON + timedelta(days=9))
    assert retention.sweep_sound(now=NOON + timedelta(days=9)) == 1
    assert kept(here) == set()
    told = [one for one in events.replay(session.pk, after=0) if one.type == "expired"]
    assert len(told) == 1


def test_one_that_somebody_is_at_holds_up_none_behind_it(
    here: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEEP_MASTERS_DAYS = 1
    monkeypatch.setattr(retention, "SESSIONS_AT_ONCE", 1)
    first, second = a_session(State.READY), a_session(State.READY)
    with mixing.alone(first):
        assert retention.sweep_sound(now=NOON + timedelta(days=9)) == 1
    second.refresh_from_db()
    assert second.sound_deleted_at is not None


def test_however_many_there_are_they_go_in_one_hour(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    session = a_session(State.READY)
    for number in range(5):
        a_file(here, session, Tier.CHUNK, f"chunk{number}.mp3")
    a_file(here, session, Tier.MASTER, "master.mp3")
    assert retention.sweep(now=NOON + timedelta(days=8)) == 5
    assert kept(here) == {"master.mp3"}
