"""One person's sound is taken out of a session; that of the others stays."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings
from recorded import Recorded

from sessions import (
    erasing,
    finish,
    mixing,
    participants,
    reconciling,
    recordings,
    recovery,
    spool,
    tasks,
    tracks,
)
from sessions.models import Participant, Recording, Tier, Waveform
from sessions.storage import LocalStorage, UnreachableError, storage

pytestmark = pytest.mark.django_db

ANN, BOB = 7_110_000_000_001, 7_110_000_000_002


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    settings.KEEP_ORIGINALS = True
    monkeypatch.setattr(recordings, "ring", lambda _: None)
    monkeypatch.setattr(finish, "ring", lambda _: None)
    return tmp_path


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sessions for whose master a worker was called."""
    rings: list[int] = []
    monkeypatch.setattr(mixing, "ring", rings.append)
    return rings


class Two(Recorded):
    """Ann is heard in the seconds 1 to 3, Bob in 5 to 7."""

    def __init__(self) -> None:
        super().__init__()
        self.ann, self.bob = self.joins(ANN, "Ann"), self.joins(BOB, "Bob")
        self.sounds(self.ann, at_s=1.0)
        self.sounds(self.bob, at_s=5.0)

    def erases_ann(self) -> bool:
        self.ann.refresh_from_db()
        participants.erase(self.ann)
        return erasing.erase(self.ann)


@pytest.fixture
def talk(rung: list[int]) -> Two:
    two = Two()
    two.ends()
    assert f"original {two.ann.public_id}" in two.files
    return two


def test_all_files_of_theirs_go_and_those_of_others_stay(talk: Two) -> None:
    assert talk.erases_ann()
    bob = talk.bob.public_id
    assert talk.files == {f"{tier} {bob}" for tier in ("chunk", "fragment", "original")}
    rows = Recording.objects.filter(session=talk.session)
    assert set(rows.values_list("participant", flat=True)) == {talk.bob.pk}
    assert {one.recording.participant for one in Waveform.objects.all()} == {talk.bob}


def test_the_master_made_anew_is_silent_where_they_spoke(
    talk: Two, rung: list[int]
) -> None:
    assert talk.loudness(at_s=1.5) > 0.01
    before = talk.loudness(at_s=5.5)
    talk.erases_ann()
    erasing.mend(talk.session.pk)
    assert rung == [talk.session.pk]
    assert tasks.remix(talk.session.pk)
    assert talk.loudness(at_s=1.5) == 0.0
    assert talk.loudness(at_s=5.5) == pytest.approx(before, rel=0.2)


def test_nobody_is_called_where_nobody_is_left(talk: Two, rung: list[int]) -> None:
    talk.erases_ann()
    participants.erase(talk.bob)
    assert erasing.erase(talk.bob)
    erasing.mend(talk.session.pk)
    assert rung == []
    assert talk.files == set()


def test_an_object_that_no_row_knows_goes_too(talk: Two) -> None:
    Recording.objects.filter(session=talk.session).exclude(tier=Tier.FRAGMENT).delete()
    talk.erases_ann()
    assert not [file for file in talk.files if str(talk.ann.public_id) in file]
    assert "master all" not in talk.files


def test_what_nobody_could_read_is_dropped_from_the_spool(talk: Two) -> None:
    folder = talk.sounds(talk.ann, at_s=9.0)
    folder.journal.write_bytes(b"not a journal")
    kept = talk.sounds(talk.bob, at_s=9.0)
    assert talk.erases_ann()
    assert spool.folders(talk.session.public_id) == [kept]


def test_what_was_being_made_of_it_goes_too(talk: Two, here: Path) -> None:
    half = here / "mixing" / str(talk.session.public_id) / "master"
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(b"half a mix")
    talk.erases_ann()
    assert not half.exists()


def test_it_waits_for_who_is_at_the_files(talk: Two) -> None:
    with mixing.alone(talk.session) as is_ours:
        assert is_ours
        assert not talk.erases_ann()
    assert "master all" in talk.files
    assert erasing.erase(talk.ann)
    assert "master all" not in talk.files


def test_it_waits_for_who_is_still_recording_them(talk: Two) -> None:
    folder = talk.sounds(talk.ann, at_s=9.0)
    with folder.taken() as is_ours:
        assert is_ours
        assert not talk.erases_ann()
    assert erasing.erase(talk.ann)
    assert not spool.folders(talk.session.public_id)


def test_it_is_asked_for_again_when_storage_did_not_answer(
    talk: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(self: object, keys: object) -> None:
        raise UnreachableError("nobody answers")

    with monkeypatch.context() as away:
        away.setattr(LocalStorage, "delete", refuses)
        with pytest.raises(UnreachableError):
            talk.erases_ann()
    assert erasing.erase(talk.ann)
    assert not [file for file in talk.files if str(talk.ann.public_id) in file]


def test_sound_that_comes_to_light_later_is_dropped(talk: Two) -> None:
    talk.erases_ann()
    participants.forget(talk.ann)
    talk.sounds(talk.ann, at_s=9.0)
    talk.sounds(talk.bob, at_s=9.0)
    (done,) = recovery.recover()
    assert done.done == "ready, mixed anew"
    assert not spool.folders()
    assert not [file for file in talk.files if str(talk.ann.public_id) in file]
    assert Participant.objects.filter(session=talk.session).count() == 2


def test_chunks_of_theirs_are_not_noted_again(talk: Two) -> None:
    talk.erases_ann()
    folder = talk.sounds(talk.ann, at_s=9.0)
    chunk = folder.sealed(375)
    chunk.write_bytes(b"sealed")
    assert mixing.store(talk.session.pk)
    assert not Recording.objects.filter(participant=talk.ann).exists()


def test_an_object_that_is_found_later_is_a_stranger(
    talk: Two, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fragment = recordings.of_tier(talk.session.pk, Tier.FRAGMENT)[0]
    assert fragment.participant == talk.ann
    talk.erases_ann()
    path = here / "left"
    path.write_bytes(b"some sound")
    storage().put(fragment.key, path, content_type="audio/mpeg")
    monkeypatch.setattr(reconciling, "YOUNG", timedelta(days=-1))
    (found,) = reconciling.reconcile(delete=True)
    assert found.verdict == reconciling.Verdict.DELETED
    assert storage().stat(fragment.key) is None


def test_they_are_not_heard_on_any_page(talk: Two) -> None:
    talk.sounds(talk.ann, at_s=9.0)
    participants.erase(talk.ann)
    assert [one.name for one in tracks.of_session(talk.session)] == ["Bob"]


def test_a_master_mixed_meanwhile_is_mixed_again(
    talk: Two, rung: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings.replace_master(talk.session.pk)
    store = mixing._store

    def storing(session: object) -> bool:
        participants.erase(talk.ann)  # on another host, whose locks are not ours
        return store(talk.session)

    monkeypatch.setattr(mixing, "_store", storing)
    assert not tasks.remix(talk.session.pk)
    assert rung == [talk.session.pk]
    assert "master all" not in talk.files


def test_nothing_of_a_master_stays_where_it_was_made_again(
    talk: Two, here: Path
) -> None:
    recordings.replace_master(talk.session.pk)
    assert tasks.remix(talk.session.pk)
    assert not list((here / "mixing").glob("*/master"))
