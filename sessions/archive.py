"""All tracks of a session as one ZIP, made while it is sent, at constant memory.

With them goes a text that says who they are, when they spoke, and what is missing. What
cannot be had is told there, and stops none of the others.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from sessions import names, originals, tracks
from sessions.audio.formats import FORMATS, LOSSLESS
from sessions.audio.frames import TIMELINE_RATE
from sessions.audio.mp3decode import FRAME
from sessions.errors import VoiceError
from sessions.originals import Original
from sessions.tracks import Track

log = structlog.get_logger(__name__)

NAME_MAX = 60
"""Characters of a file's name: file systems allow 255 bytes, a character has four."""
FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Windows opens a device under these names, whatever stands behind the dot."""
GAPS_TOLD = 500


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A track and the part of it that is wanted, in samples at 48 kHz."""

    track: Track
    start: int
    stop: int
    original: Original | None = None
    """The same as it arrived, where that is kept."""


@dataclass(frozen=True, slots=True)
class About:
    """What the text says of the session."""

    public_id: str
    title: str
    started_at: datetime
    ended_at: datetime | None


def safe_name(raw: str, *, otherwise: str = "Unknown") -> str:
    """What a person is called, as a name every file system takes."""
    name = FORBIDDEN.sub("_", names.clean(raw, longest=NAME_MAX)).strip(" .")
    if not name or RESERVED.fullmatch(name):
        name = f"{otherwise} {name}".strip()
    return name


def unique(wanted: Iterable[str]) -> list[str]:
    """The same names, with numbers where two would be one file: many file systems
    take upper and lower case for the same."""
    taken = {"info"}
    made = []
    for name in wanted:
        candidate, number = name, 1
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{name} ({number})"
        taken.add(candidate.casefold())
        made.append(candidate)
    return made


def zipped(
    about: About, excerpts: list[Excerpt], *, suffix: str
) -> Generator[bytes, None, None]:
    """The archive's bytes, in pieces."""
    out = Outbox()
    told = [_heading(about, suffix)]
    files = unique(safe_name(excerpt.track.name) for excerpt in excerpts)
    with zipfile.ZipFile(out, "w") as archive:
        for name, excerpt in zip(files, excerpts, strict=True):
            entry = _entry(about, f"{name}.{suffix}")
            if FORMATS[suffix].shrinks:
                entry.compress_type = zipfile.ZIP_DEFLATED
            faults: list[str] = []
            with archive.open(entry, "w", force_zip64=True) as file:
                for piece in _made(excerpt, suffix, faults):
                    file.write(piece)
                    yield out.taken()
            told.append(_told(about, excerpt, entry.filename, faults))
            yield out.taken()
        archive.writestr(_entry(about, "info.txt"), "\n".join(told))
    yield out.taken()


def _made(excerpt: Excerpt, suffix: str, faults: list[str]) -> Iterator[bytes]:
    """A file of the archive, of the best there is; where it comes from is told."""
    if suffix not in LOSSLESS:
        yield from _sound(excerpt, suffix, faults)
        return
    if excerpt.original is not None:
        try:
            with originals.opened(excerpt.original) as sound:
                rate = sound.rate
                faults.append(f"Lossless: each sample as it arrived, at {rate} Hz.")
                start, stop = excerpt.start, excerpt.stop
                yield from LOSSLESS[suffix](
                    sound.blocks(start, stop),
                    samples=sound.samples(start, stop),
                    rate=rate,
                )
                return
        except VoiceError as e:
            log.warning("archive.original_left_out", code=e.code)
    faults.append("Decoded from MP3: what arrived is not kept, or not within reach.")
    yield from _sound(excerpt, suffix, faults)


def _sound(excerpt: Excerpt, suffix: str, faults: list[str]) -> Iterator[bytes]:
    """A file of the archive. What is wrong with it is added to `faults`."""
    start, stop = excerpt.start, excerpt.stop
    try:
        with tracks.opened(excerpt.track, start=start, stop=stop) as sound:
            faults += sound.faults
            yield from FORMATS[suffix].encode(sound.reader, start, stop)
            if damaged := sound.reader.damaged_frames:
                ms = damaged * FRAME * 1000 // TIMELINE_RATE
                faults.append(f"{ms} ms are damaged: they are silent here.")
    except VoiceError as e:
        log.warning("archive.track_left_out", code=e.code)
        faults.append(f"This file is not complete. {e.message}")


class Outbox:
    """A file that cannot seek, and is emptied as it grows."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes, /) -> int:
        self._data += data
        return len(data)

    def close(self) -> None:
        """Nor anything to close."""

    def flush(self) -> None:
        """There is nothing between us and `taken`."""

    def taken(self) -> bytes:
        data, self._data = bytes(self._data), bytearray()
        return data


def _entry(about: About, name: str) -> zipfile.ZipInfo:
    at = about.started_at.astimezone(UTC)
    entry = zipfile.ZipInfo(name, at.timetuple()[:6])
    entry.external_attr = 0o644 << 16
    return entry


def _heading(about: About, suffix: str) -> str:
    ended = "it still ran when this was made"
    if about.ended_at is not None:
        ended = f"ended {_moment(about.ended_at)}"
    title = names.clean(about.title, longest=200)
    return (
        f"Session {about.public_id}{f': {title}' if title else ''}\n"
        f"Began {_moment(about.started_at)}, {ended}.\n"
        f"All times below count from its beginning, as h:mm:ss.mmm. The files are"
        f" {suffix.upper()}, mono, 48 kHz where nothing else is said.\n"
    )


def _told(about: About, excerpt: Excerpt, name: str, faults: list[str]) -> str:
    track = excerpt.track
    came = about.started_at + timedelta(seconds=track.start / TIMELINE_RATE)
    lines = [
        name,
        f"  Who: {names.clean(track.name, longest=80) or 'Unknown'}"
        f" ({track.participant})",
        f"  First heard at {_clock(track.start)} ({_moment(came)}).",
        *(f"  Recorded from {_clock(a)} to {_clock(b)}." for a, b in track.spans),
        f"  This file holds {_clock(excerpt.start)} to {_clock(excerpt.stop)}.",
        *(f"  {fault}" for fault in faults),
        *_gaps(excerpt),
    ]
    return "\n".join(lines) + "\n"


def _gaps(excerpt: Excerpt) -> Iterator[str]:
    inside = [
        (max(begin, excerpt.start), min(end, excerpt.stop))
        for begin, end in excerpt.track.gaps
        if begin < excerpt.stop and end > excerpt.start
    ]
    if inside:
        total = sum(end - begin for begin, end in inside) / TIMELINE_RATE
        yield f"  Missing in between, {total:.2f} s in all (silent here):"
    elif excerpt.track.is_growing:
        yield "  What never came is known once this recording is complete."
    else:
        yield "  Nothing is missing in between."
    for begin, end in inside[:GAPS_TOLD]:
        yield f"    {_clock(begin)} to {_clock(end)}"
    if len(inside) > GAPS_TOLD:
        yield f"    and {len(inside) - GAPS_TOLD} more"


def _clock(position: int) -> str:
    ms = position * 1000 // TIMELINE_RATE
    return (
        f"{ms // 3_600_000}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"
    )


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
