"""What a process had received and not yet written down when it died is heard again."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_django import DjangoCaptureOnCommitCallbacks
from pytest_django.fixtures import Settings
from scene import a_session
from speech import voices

from sessions import finish, jobs, participants, recovery, spool
from sessions.audio import journal
from sessions.audio.frames import Frame
from sessions.audio.journal import Head
from sessions.models import Job, Participant, State, Tier, VoiceSession
from sessions.storage import storage
from transcripts import backfill, utterances
from transcripts.models import Utterance
from transcripts.recognised import Recognised
from transcripts.utterances import Spoken

pytestmark = pytest.mark.django_db

RATE, SCALE, FRAME = 16_000, 3, 320
AT = 48_000
"""Where the sound begins on the timeline."""
SECOND = 48_000


@pytest.fixture(autouse=True)
def here(tmp_path: Path, settings: Settings) -> Path:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    return tmp_path


@pytest.fixture
def session() -> VoiceSession:
    return a_session(State.FINISHING)


@pytest.fixture(scope="module")
def said() -> tuple[NDArray[np.int16], list[tuple[int, int]]]:
    """Two phrases, the second one breaking off with its process; where they stand."""
    pause = np.zeros(2 * RATE, np.int16)
    first, second = (
        voices.trim(voices.speak(text)) for text in ("please start the call", "yes now")
    )
    pcm = np.concatenate([pause, first, pause, second])
    places, at = [], AT
    for piece in (pause, first, pause, second):
        places.append((at, at + len(piece) * SCALE))
        at = places[-1][1]
    return pcm, [places[1], places[3]]


def left_behind(
    session: VoiceSession,
    pcm: NDArray[np.int16],
    *,
    key: str = "a",
    is_concluded: bool = False,
) -> tuple[Participant, spool.Folder]:
    """A connection's journal, as SIGKILL leaves it or as its end does."""
    person = Participant.objects.create(session=session, key=key, name="Ada")
    assert session.started_at is not None
    zero = session.started_at.isoformat()
    name = f"{person.public_id}-20260504T120001.000Z"
    folder = spool.Folder(spool.root() / str(session.public_id) / name)
    folder.path.mkdir(parents=True)
    public = str(session.public_id), str(person.public_id)
    data = journal.head(Head(*public, session.pk, person.pk, RATE, zero, zero))
    for number, at in enumerate(range(0, len(pcm), FRAME)):
        frame = Frame(pcm[at : at + FRAME], RATE, (AT + at * SCALE) / SECOND)
        data += journal.sound(number, frame)
        data += journal.placed(number, AT + at * SCALE, dropped=0)
    folder.journal.write_bytes(data + (journal.end() if is_concluded else b""))
    return person, folder


def written(person: Participant, place: tuple[int, int]) -> None:
    """A line that was made of it in time."""
    utterances.record(
        Spoken(
            uuid.uuid4(),
            person.session_id,
            person.pk,
            start=place[0],
            end=place[1],
            audio_start=place[0],
            audio=bytes(2),
        )
    )


def places() -> list[tuple[int, int]]:
    return list(Utterance.objects.order_by("start").values_list("start", "end"))


def near(found: tuple[int, int], truth: tuple[int, int]) -> bool:
    """A row's edges are a detection's: a few windows of 32 ms off."""
    return all(abs(a - b) < SECOND // 4 for a, b in zip(found, truth, strict=True))


def test_what_was_not_written_down_is_heard_again(
    session: VoiceSession, said: tuple[NDArray[np.int16], list[tuple[int, int]]]
) -> None:
    pcm, (first, second) = said
    person, folder = left_behind(session, pcm)
    written(person, first)
    assert backfill.hear(session.pk)
    assert not backfill.complete(session.pk)  # a text is waited for
    assert len(places()) == 2
    assert near(places()[1], second)
    with folder.journal.open("rb") as file:
        assert journal.is_concluded(file)
    assert backfill.hear(session.pk)
    assert len(places()) == 2


def test_who_had_no_line_yet_is_heard_from_the_beginning(
    session: VoiceSession, said: tuple[NDArray[np.int16], list[tuple[int, int]]]
) -> None:
    pcm, truth = said
    left_behind(session, pcm)
    backfill.hear(session.pk)
    found = places()
    assert len(found) == 2
    assert all(map(near, found, truth))


def test_what_was_sent_again_elsewhere_is_not_doubled(
    session: VoiceSession, said: tuple[NDArray[np.int16], list[tuple[int, int]]]
) -> None:
    """A page sends its last seconds again, and says more: that line holds it."""
    pcm, (first, (begin, end)) = said
    person, _ = left_behind(session, pcm)
    written(person, first)
    written(person, (begin, end + 2 * SECOND))
    backfill.hear(session.pk)
    assert len(places()) == 2


@pytest.mark.parametrize("why", ["heard", "ours", "opted out", "not kept"])
def test_who_is_not_heard_again(
    session: VoiceSession,
    said: tuple[NDArray[np.int16], list[tuple[int, int]]],
    why: str,
) -> None:
    key = participants.OURS if why == "ours" else "a"
    person, _ = left_behind(session, said[0], key=key, is_concluded=why == "heard")
    if why == "opted out":
        Participant.objects.filter(pk=person.pk).update(opted_out_at=person.joined_at)
    if why == "not kept":
        VoiceSession.objects.filter(pk=session.pk).update(record=False)
    assert backfill.hear(session.pk)
    assert not places()


def test_while_it_is_recorded_it_is_waited_for(
    session: VoiceSession, said: tuple[NDArray[np.int16], list[tuple[int, int]]]
) -> None:
    _, folder = left_behind(session, said[0])
    with folder.taken():
        assert not backfill.hear(session.pk)
    assert not places()


def test_a_journal_nobody_can_read_holds_nothing_up(session: VoiceSession) -> None:
    _, folder = left_behind(session, np.zeros(FRAME, np.int16))
    folder.journal.write_bytes(b"RIFF, or something")
    assert backfill.hear(session.pk)


def test_what_came_to_light_after_the_end_is_heard_too(
    session: VoiceSession, said: tuple[NDArray[np.int16], list[tuple[int, int]]]
) -> None:
    """A host that was away while the session ended."""
    assert finish.complete(session.pk)
    left_behind(session, said[0])
    (found,) = recovery.recover()
    assert found.done == "waiting"  # for the words
    assert len(places()) == 2


def test_words_that_come_after_the_end_come_into_storage_too(
    session: VoiceSession,
    said: tuple[NDArray[np.int16], list[tuple[int, int]]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    waiting = Job.objects.filter(kind="archive")
    assert finish.complete(session.pk)
    left_behind(session, said[0])
    recovery.recover()
    for _ in range(2):
        assert not waiting.exists()
        claimed = utterances.claim("a worker")
        assert claimed is not None
        with django_capture_on_commit_callbacks(execute=True):
            utterances.complete(claimed, Recognised("words", language="en"))
    assert jobs.work(waiting.get().pk)
    text = session.recordings.get(tier=Tier.TRANSCRIPT, key__endswith=".txt")
    assert storage().read(text.key, start=0, stop=1_000).decode().count("words") == 2
