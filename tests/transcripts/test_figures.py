"""The line of figures that each session leaves when it has ended."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from scene import at_once
from structlog.testing import capture_logs

from sessions import finish, lifecycle, participants
from sessions.audio.frames import TIMELINE_RATE
from sessions.models import Source, State, VoiceSession
from sessions.participants import Losses
from transcripts import figures
from transcripts.models import Utterance, UtteranceState

pytestmark = pytest.mark.django_db

BEGAN = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ENDED = BEGAN + timedelta(seconds=61.234)
COUNTED = {"guild_id": "12", "packets": 100}


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, settings: Settings) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    return tmp_path / "logs"


def told(logs: Path) -> list[dict[str, Any]]:
    path = logs / "voice_metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def ended(**fields: Any) -> VoiceSession:
    given: dict[str, Any] = {
        "source": Source.BROWSER,
        "state": State.READY,
        "started_at": BEGAN,
        "ended_at": ENDED,
        "end_reason": "requested",
    }
    return VoiceSession.objects.create(**(given | fields))


def says(session: VoiceSession, key: str, *, end_s: float, text_at_s: float) -> None:
    person, _ = session.participants.get_or_create(key=key, defaults={"name": key})
    end = int(end_s * TIMELINE_RATE)
    Utterance.objects.create(
        session=session,
        participant=person,
        start=0,
        end=end,
        audio_start=0,
        state=UtteranceState.DONE,
        text="a secret",
        finished_at=BEGAN + timedelta(seconds=text_at_s),
    )


def test_a_session_is_one_line_of_numbers_and_ids(logs: Path) -> None:
    session = ended(title="Board")
    for number in range(1, 21):  # the text of each comes so many tenths behind it
        says(session, "ada", end_s=number, text_at_s=number * 1.1)
    says(session, participants.OURS, end_s=1.0, text_at_s=9.0)
    ben = session.participants.create(key="ben", name="Ben")
    silent = {"end": 9, "audio_start": 0, "state": UtteranceState.EMPTY}
    Utterance.objects.create(session=session, participant=ben, start=0, **silent)
    for losses in (Losses(2, 1500, 1), Losses(1, 60, 0)):
        participants.leave(session.pk, ben.pk, connection="gone", losses=losses)
    assert figures.tell(session.pk)
    assert told(logs) == [
        {
            "at": "2026-05-04T12:01:01.234+00:00",
            "session": str(session.public_id),
            "source": "browser",
            "reason": "requested",
            "seconds": 61.234,
            "record": True,
            "people": 2,
            "gaps": 3,
            "gap_ms": 1560,
            "dropped": 1,
            "segments": 21,
            "lines": 20,
            "text_delay_p50_s": 1.0,
            "text_delay_p95_s": 1.9,
        }
    ]


def test_nobody_tells_it_twice(logs: Path) -> None:
    session = ended()
    assert [figures.tell(session.pk) for _ in range(3)] == [True, False, False]
    assert figures.tell_all() == 0
    assert len(told(logs)) == 1


@pytest.mark.parametrize("state", [State.ACTIVE, State.FINISHING, State.DELETED])
def test_nothing_is_told_of_what_has_not_ended_or_is_deleted(state: State) -> None:
    session = ended(state=state)
    assert not figures.tell(session.pk)
    assert figures.tell_all() == 0


def test_one_that_never_began_is_told_by_the_round(logs: Path) -> None:
    session = VoiceSession.objects.create(source=Source.PHONE)
    lifecycle.advance(session.pk, State.FAILED, reason="no_room", failure="no_room")
    assert figures.tell_all() == 1
    (line,) = told(logs)
    assert (line["reason"], line["seconds"]) == ("no_room", 0.0)
    assert line["text_delay_p95_s"] is None


def test_a_discord_call_waits_for_what_its_bot_has_counted(logs: Path) -> None:
    session = ended(source=Source.DISCORD)
    assert not figures.tell(session.pk, now=ENDED + timedelta(minutes=4))
    figures.note(session.pk, COUNTED)
    assert figures.tell(session.pk, now=ENDED + timedelta(minutes=4))
    (line,) = told(logs)
    assert line | COUNTED == line


def test_and_not_for_ever(logs: Path) -> None:
    """The bot has died with it."""
    ended(source=Source.DISCORD)
    assert figures.tell_all(now=ENDED + timedelta(minutes=4)) == 0
    assert figures.tell_all(now=ENDED + timedelta(minutes=6)) == 1
    assert "packets" not in told(logs)[0]


def test_it_is_told_when_it_is_ready(logs: Path) -> None:
    session = ended(state=State.FINISHING)
    assert finish.complete(session.pk)
    assert [line["session"] for line in told(logs)] == [str(session.public_id)]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_tell_it_at_once_one_does(logs: Path) -> None:
    session = ended()
    assert sum(at_once(lambda _: figures.tell(session.pk), threads=4)) == 1
    assert len(told(logs)) == 1


def test_several_who_write_at_once_do_not_mix_their_lines(logs: Path) -> None:
    together = threading.Barrier(4)

    def end_many(process: int) -> None:
        together.wait()
        for number in range(50):
            figures.write({"session": f"{process}", "number": number})

    threads = [threading.Thread(target=end_many, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in range(4):
        theirs = [one["number"] for one in told(logs) if one["session"] == str(process)]
        assert theirs == list(range(50))


def test_what_cannot_be_written_is_logged_and_never_raised(
    tmp_path: Path, settings: Settings
) -> None:
    (tmp_path / "file").touch()
    settings.LOGS_DIR = tmp_path / "file"
    with capture_logs() as entries:
        assert figures.tell(ended().pk)
    assert [entry["event"] for entry in entries] == ["voice_metrics.not_written"]
