"""The lines of a session: what an utterance event says, and the file that keeps it.

The file is one JSON object per line, for whoever reads along on this machine. It never
holds a line twice, and never costs the session anything: the words are in the database.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import structlog
from django.conf import settings

from sessions.spool import sync_folder

if TYPE_CHECKING:
    from sessions.events import Event
    from sessions.models import VoiceSession

log = structlog.get_logger(__name__)

DRAFT = ".draft"
"""Of a file from which somebody's lines are being taken; a crash may leave it."""


@dataclass(frozen=True, slots=True)
class Line:
    """One finished utterance. `seq` is its event's number, `participant` a public id;
    milliseconds count from the session's time zero."""

    seq: int
    participant: str
    name: str
    text: str
    start_ms: int
    end_ms: int
    language: str = ""

    def to_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        data = {
            "seq": self.seq,
            "start_ms": self.start_ms,
            "end_ms": self.end_ms,
            "participant": self.participant,
            "name": self.name,
            "text": self.text,
        }
        return data | ({"language": self.language} if self.language else {})


def line_of(event: Event) -> Line | None:
    """The line that an event of the feed tells; None for every other event."""
    if event.type != "utterance":
        return None
    said = event.data
    return Line(
        seq=event.seq,
        participant=said["participant"],
        name=said["name"],
        text=said["text"],
        start_ms=said["start_ms"],
        end_ms=said["end_ms"],
        language=said.get("language", ""),
    )


def path_of(folder: Path, public_id: UUID) -> Path:
    """Where the lines of a session lie."""
    return folder / f"{public_id}.jsonl"


def forget(folder: Path, public_id: UUID) -> None:
    """Delete what is kept of a session, if anything is. Raises OSError."""
    path = path_of(folder, public_id)
    path.unlink(missing_ok=True)
    path.with_suffix(DRAFT).unlink(missing_ok=True)


def forget_session(session: VoiceSession) -> None:
    """The same, as FORGETTERS calls it. Raises OSError."""
    forget(Path(settings.LOGS_DIR) / "lines", session.public_id)


def forget_person(session: VoiceSession, participant: UUID) -> None:
    """Take one person's lines out of the file of a session that is over, and with them
    what cannot be read. Raises OSError; then the file is as it was."""
    folder = Path(settings.LOGS_DIR) / "lines"
    path = path_of(folder, session.public_id)
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        return
    lines = before.splitlines(keepends=True)
    kept = b"".join(line for line in lines if _is_of_another(line, str(participant)))
    if kept == before:
        return
    draft = path.with_suffix(DRAFT)
    draft.unlink(missing_ok=True)
    with open(draft, "xb", opener=_private) as file:
        file.write(kept)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(folder)


def _is_of_another(line: bytes, participant: str) -> bool:
    try:
        return bool(json.loads(line)["participant"] != participant)
    except (ValueError, KeyError, TypeError):
        return False


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


class LineLog:
    """The file of one session, open from its first line in this process to `close`.

    A torn last line, which a crash leaves, is dropped. Belongs to one process; what the
    disk refuses is tried again with the next line.
    """

    def __init__(self, folder: Path, public_id: UUID, *, keep: bool = True) -> None:
        """`keep`: what leaving the block does with the file, whatever ends it."""
        self.last_seq = 0
        """The newest line's event. Older ones are not written again."""
        self._folder, self._public_id, self._keep = folder, public_id, keep
        self._unwritten = b""
        self._size = 0
        self._is_told = False
        self._file: int | None = None
        try:
            self._open()
        except OSError as error:
            self._failed(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close(keep=self._keep)

    def write(self, line: Line) -> None:
        """Add a line, and hand it to the system at once."""
        if self._file is None or line.seq <= self.last_seq:
            return
        self.last_seq = line.seq
        text = json.dumps(line.to_json(), ensure_ascii=False, separators=(",", ":"))
        self._unwritten += text.encode() + b"\n"
        self._flush(self._file)

    def close(self, *, keep: bool) -> None:
        """Nothing is written any more. Kept: it outlives a power cut from here on;
        else: it is deleted, also after it was closed. Waits for the disk: off the
        event loop where that matters."""
        file, self._file = self._file, None
        if file is not None:
            self._finish(file, keep=keep)
        if not keep:
            try:
                forget(self._folder, self._public_id)
            except OSError as error:
                session, why = str(self._public_id), error.strerror
                log.warning("lines.not_deleted", session=session, why=why)

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = path_of(self._folder, self._public_id)
        # What people said: for nobody else on this machine.
        how = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        file = os.open(path, how, 0o600)
        try:
            with open(file, "rb", closefd=False) as before:
                self._size, self.last_seq = _whole(before.read())
            os.ftruncate(file, self._size)
        except OSError:
            os.close(file)
            raise
        self._file = file

    def _flush(self, file: int) -> None:
        try:
            left = self._unwritten
            while left:
                left = left[os.write(file, left) :]
        except OSError as error:
            self._failed(error)
            with contextlib.suppress(OSError):  # half a line may stand there now
                os.ftruncate(file, self._size)
            return
        self._size += len(self._unwritten)
        self._unwritten = b""

    def _finish(self, file: int, *, keep: bool) -> None:
        try:
            if keep:
                self._flush(file)
                os.fsync(file)
                sync_folder(self._folder)
        except OSError as error:
            self._failed(error)
        finally:
            os.close(file)

    def _failed(self, error: OSError) -> None:
        if not self._is_told:
            self._is_told = True
            session, why = str(self._public_id), error.strerror
            log.warning("lines.not_written", session=session, why=why)


def _whole(data: bytes) -> tuple[int, int]:
    """How many bytes of it are whole lines, and the number of the last of them."""
    end = data.rfind(b"\n") + 1
    while end:
        start = data.rfind(b"\n", 0, end - 1) + 1
        try:
            return end, int(json.loads(data[start:end])["seq"])
        except (ValueError, KeyError, TypeError):  # damage, not only a torn end
            end = start
    return 0, 0
