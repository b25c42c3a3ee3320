"""Somebody's wish to be forgotten is kept until it is fulfilled, everywhere."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from recorded import Recorded

from bot.discord import erasing
from bot.discord.guild import deeds
from bot.discord.text import lines
from bot.models import DiscordCall, Erasure
from sessions import bookmarks, events, finish, mixing, queue, recordings
from sessions.bookmarks import Author
from sessions.models import Erasure as Receipt
from sessions.models import Participant, Source, State, VoiceRequest, VoiceSession
from sessions.storage import LocalStorage, UnreachableError

pytestmark = pytest.mark.django_db

ANN, BOB = 7_110_000_000_001, 7_110_000_000_002


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    for module in (recordings, finish, mixing):
        monkeypatch.setattr(module, "ring", lambda _: None)
    return tmp_path


class Two(Recorded):
    """Ann and Bob talk."""

    def __init__(
        self, *, guild_id: int = 1, asked_by: int = 0, title: str = ""
    ) -> None:
        super().__init__(guild_id=guild_id, asked_by=asked_by, title=title)
        self.ann, self.bob = self.joins(ANN, "Ann"), self.joins(BOB, "Bob")
        self.says(self.ann, "a secret")
        self.says(self.bob, "good morning", at_ms=5000)


def wanted(user_id: int = ANN) -> bool:
    return Erasure.objects.filter(user_id=str(user_id)).exists()


def forget_ann() -> erasing.Erased:
    erasing.ask(ANN)
    return erasing.go_on(ANN)


def test_it_reaches_every_server() -> None:
    talks = [Two(guild_id=1), Two(guild_id=2)]
    for talk in talks:
        talk.ends()
    assert erasing.concerned(ANN) == 2
    assert forget_ann().gone == 2
    assert [talk.words for talk in talks] == [["good morning"]] * 2
    assert erasing.concerned(ANN) == 0
    assert erasing.concerned(BOB) == 2
    assert not wanted()


def test_what_still_runs_goes_when_it_has_ended() -> None:
    over, runs = Two(), Two()
    over.ends()
    done = forget_ann()
    assert (done.gone, done.waiting) == (1, 1)
    assert wanted()
    assert "a secret" in runs.words
    runs.ends()
    assert erasing.go_on().gone == 1
    assert runs.words == ["good morning"]
    assert not wanted()


def test_what_is_said_after_the_wish_stays() -> None:
    erasing.ask(ANN, now=timezone.now() - timedelta(hours=1))
    talk = Two()
    talk.ends()
    assert erasing.go_on().gone == 0
    assert "a secret" in talk.words
    assert not wanted()


def test_it_goes_on_where_storage_broke_it_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = Two()
    talk.ends()

    def refuses(self: object, keys: object) -> None:
        raise UnreachableError("nobody answers")

    with monkeypatch.context() as away:
        away.setattr(LocalStorage, "delete", refuses)
        assert forget_ann().refused == 1
    assert wanted()
    assert erasing.concerned(ANN) == 1
    assert erasing.go_on().gone == 1
    assert "a secret" not in talk.transcript
    assert not wanted()


def test_one_storage_fault_does_not_keep_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talks = [Two(), Two()]
    for talk in talks:
        talk.ends()
    first = str(talks[0].session.public_id)
    delete = LocalStorage.delete

    def refuses(self: LocalStorage, keys: list[str]) -> None:
        if any(first in key for key in keys):
            raise UnreachableError("nobody answers")
        delete(self, keys)

    monkeypatch.setattr(LocalStorage, "delete", refuses)
    done = forget_ann()
    assert (done.gone, done.refused) == (1, 1)


def test_their_lines_go_from_the_file(here: Path) -> None:
    talk = Two()
    talk.ends()
    forget_ann()
    assert "a secret" not in talk.lines
    assert "good morning" in talk.lines
    (path,) = (here / "logs" / "lines").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_of_lines_that_cannot_be_written_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = Two()
    talk.ends()

    def refuses(session: VoiceSession, participant: UUID) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(lines, "forget_person", refuses)
        assert forget_ann().refused == 1
    assert erasing.go_on().gone == 1
    assert "a secret" not in talk.lines


def test_a_line_that_cannot_be_read_goes_with_them(here: Path) -> None:
    talk = Two()
    talk.ends()
    (path,) = (here / "logs" / "lines").iterdir()
    path.write_bytes(path.read_bytes() + b'{"participant": "half a secr')
    forget_ann()
    assert "secr" not in talk.lines


def test_notes_go_also_of_who_never_spoke() -> None:
    talk = Recorded()
    note = {"author": f"discord:{ANN}", "name": "Ann", "at_ms": 1, "text": "a secret"}
    events.append(talk.session.pk, events.NOTE, note)
    events.append(talk.session.pk, events.NOTE, note | {"author": f"discord:{BOB}"})
    bookmarks.take(talk.session, "mine", by=Author("Ann", key=f"discord:{ANN}"))
    forget_ann()
    (left,) = events.replay(talk.session.pk, after=0)
    assert left.data["author"] == f"discord:{BOB}"
    assert bookmarks.of_session(talk.session) == []


def a_request(user_id: int, state: str = "done") -> VoiceRequest:
    request = queue.ask(
        source=Source.DISCORD,
        guild_id="1",
        user_id=str(user_id),
        user_name="Somebody",
    )
    VoiceRequest.objects.filter(pk=request.pk).update(state=state)
    return request


def test_who_asked_is_known_no_more() -> None:
    theirs, another = a_request(ANN), a_request(BOB)
    forget_ann()
    theirs.refresh_from_db()
    another.refresh_from_db()
    assert (theirs.user_id, theirs.user_name) == ("", "")
    assert (another.user_id, another.user_name) == (str(BOB), "Somebody")


def test_who_still_waits_is_forgotten_when_they_do_not() -> None:
    request = a_request(ANN, state="waiting")
    forget_ann()
    request.refresh_from_db()
    assert request.user_id == str(ANN)
    assert wanted()
    queue.drop(request.pk)
    erasing.go_on()
    request.refresh_from_db()
    assert request.user_id == ""
    assert not wanted()


def test_a_room_is_not_called_like_them_any_more() -> None:
    room = Two(asked_by=ANN, title="Voice-Ann")
    another = Two(asked_by=BOB, title="Voice-Bob")
    for talk in (room, another):
        deeds.begin(talk.session, text_channel_id=1, locale="en")
        talk.ends()
    DiscordCall.objects.update(undone_at=timezone.now())
    forget_ann()
    room.session.refresh_from_db()
    another.session.refresh_from_db()
    assert (room.session.user_id, room.session.title) == ("", "Voice channel")
    assert (another.session.user_id, another.session.title) == (str(BOB), "Voice-Bob")
    calls = DiscordCall.objects.order_by("pk").values_list("user_id", flat=True)
    assert list(calls) == ["", str(BOB)]


def test_a_title_that_somebody_gave_stays() -> None:
    talk = Two(asked_by=ANN, title="Budget")
    talk.ends()
    forget_ann()
    talk.session.refresh_from_db()
    assert talk.session.title == "Budget"


def test_a_session_they_asked_for_and_that_runs_waits() -> None:
    talk = Recorded(asked_by=ANN)
    assert forget_ann().waiting == 1
    assert wanted()
    VoiceSession.objects.filter(pk=talk.session.pk).update(
        state=State.READY, ended_at=timezone.now()
    )
    erasing.go_on()
    assert not wanted()


def test_browsers_with_such_a_key_are_not_meant() -> None:
    talk = Two()
    talk.ends()
    VoiceSession.objects.filter(pk=talk.session.pk).update(source=Source.BROWSER)
    assert erasing.concerned(ANN) == 0
    forget_ann()
    assert "a secret" in talk.words


def test_nothing_tells_afterwards_who_it_was() -> None:
    talk = Two(asked_by=ANN, title="Voice-Ann")
    talk.ends()
    a_request(ANN)
    forget_ann()
    rows = [
        *Participant.objects.values(),
        *VoiceSession.objects.values(),
        *VoiceRequest.objects.values(),
        *Erasure.objects.values(),
    ]
    told = " ".join(str(value) for row in rows for value in row.values())
    assert "Ann" not in told
    assert str(ANN) not in told.split()
    assert f"discord:{ANN}" not in told


def test_a_wish_has_a_receipt_that_names_nobody_in_the_end() -> None:
    erasing.ask(ANN)
    erasing.ask(ANN)
    (receipt,) = Receipt.objects.all()
    assert str(receipt.public_id) in erasing.receipt_of(ANN)
    erasing.go_on(ANN)
    receipt.refresh_from_db()
    assert receipt.state == Receipt.State.DONE
    assert str(ANN) not in str(receipt.people) + str(receipt.counts)
    assert erasing.receipt_of(ANN) == ""
