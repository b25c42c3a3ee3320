"""Names of objects in storage: made from identifiers and times, and read back. Pure.

Nothing a person wrote is ever part of a key; whatever looks like a path out of the
storage is refused here, before any storage sees it.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from sessions.errors import VoiceError

Tier = Literal["chunk", "fragment", "master", "transcript", "original"]
Original = Literal["ogg", "flac"]
Transcript = Literal["txt", "jsonl"]

ROOT = "recordings"
KEY_MAX = 900
"""Characters: S3 allows 1,024 bytes, and S3_PREFIX comes in front."""
NAME_MAX = 200
"""Characters between two slashes: file systems allow 255; a draft's name is longer."""
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")
STAMP = "%Y%m%dT%H%M%S"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_WHO_WHEN = rf"(?P<participant>{_UUID})-(?P<stamp>\d{{8}}T\d{{6}}\.\d{{3}}Z)"
_HOME = rf"{ROOT}/(?P<session>{_UUID})"
_SHAPES: dict[Tier, re.Pattern[str]] = {
    "chunk": re.compile(rf"{_HOME}/chunks/{_WHO_WHEN}\.mp3"),
    "fragment": re.compile(rf"{_HOME}/full/FULL-{_WHO_WHEN}\.mp3"),
    "master": re.compile(rf"{_HOME}/master/MASTER-(?P=session)\.mp3"),
    "transcript": re.compile(rf"{_HOME}/transcript-(?P=session)\.(?:txt|jsonl)"),
    "original": re.compile(rf"{_HOME}/original/{_WHO_WHEN}\.(?:ogg|flac)"),
}


class BadKeyError(VoiceError):
    """A key that no function of this module made: never shown, it may be hostile."""

    def __init__(self) -> None:
        super().__init__("storage_key", "This is no name of a stored file.")


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a key says. Participant and start are None where a tier has none."""

    tier: Tier
    session: uuid.UUID
    participant: uuid.UUID | None = None
    started_at: datetime | None = None


def session_prefix(session: uuid.UUID) -> str:
    """What the keys of one session have in common."""
    return f"{ROOT}/{session}/"


def chunk_key(
    session: uuid.UUID, *, participant: uuid.UUID, started_at: datetime
) -> str:
    """Tier 1: one piece of one participant's track."""
    return f"{session_prefix(session)}chunks/{participant}-{stamp(started_at)}.mp3"


def fragment_key(
    session: uuid.UUID, *, participant: uuid.UUID, started_at: datetime
) -> str:
    """Tier 2: one connection of one participant."""
    return f"{session_prefix(session)}full/FULL-{participant}-{stamp(started_at)}.mp3"


def master_key(session: uuid.UUID) -> str:
    """Tier 3: everybody."""
    return f"{session_prefix(session)}master/MASTER-{session}.mp3"


def transcript_key(session: uuid.UUID, *, suffix: Transcript) -> str:
    assert suffix in get_args(Transcript)
    return f"{session_prefix(session)}transcript-{session}.{suffix}"


def original_key(
    session: uuid.UUID,
    *,
    participant: uuid.UUID,
    started_at: datetime,
    suffix: Original,
) -> str:
    """Tier 0: what arrived, as it arrived."""
    assert suffix in get_args(Original)
    name = f"{participant}-{stamp(started_at)}.{suffix}"
    return f"{session_prefix(session)}original/{name}"


def stamp(moment: datetime) -> str:
    """A moment in UTC, to the millisecond below: `20261121T083000.123Z`."""
    assert moment.tzinfo is not None, "a moment without a time zone is no moment"
    moment = moment.astimezone(UTC)
    return f"{moment:{STAMP}}.{moment.microsecond // 1000:03}Z"


def parse(key: str) -> Parsed | None:
    """What a key of these functions says; None for any other, open chunks included."""
    for tier, shape in _SHAPES.items():
        if match := shape.fullmatch(key):
            parts = match.groupdict()
            who, when = parts.get("participant"), parts.get("stamp")
            try:
                started_at = _moment(when) if when else None
            except ValueError:
                return None  # the 31st of February
            participant = uuid.UUID(who) if who else None
            return Parsed(tier, uuid.UUID(parts["session"]), participant, started_at)
    return None


def participant_of(connection: str) -> uuid.UUID | None:
    """Whose connection this is, by its name; None for what is no connection's."""
    parsed = parse(f"{session_prefix(uuid.UUID(int=0))}chunks/{connection}.mp3")
    return parsed.participant if parsed else None


def check(key: str) -> str:
    """The key itself. Raises BadKeyError when it could lead anywhere unforeseen."""
    names = key.split("/")
    if len(key) > KEY_MAX or not all(
        len(name) <= NAME_MAX and NAME.fullmatch(name) for name in names
    ):
        raise BadKeyError
    return key


def is_key(key: str) -> bool:
    try:
        check(key)
    except BadKeyError:
        return False
    return True


def _moment(stamped: str) -> datetime:
    return datetime.strptime(stamped, f"{STAMP}.%fZ").replace(tzinfo=UTC)
