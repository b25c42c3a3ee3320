"""Somebody's sound as it arrived, sample for sample, where that is still kept.

Of each connection: its journal, while it lies in this host's spool, or its FLAC in
storage. Both are laid out alike, so that one cannot be told from the other. Reads only.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import av
import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from sessions import spool
from sessions.audio.frames import TIMELINE_RATE
from sessions.audio.journal import Journal, JournalError
from sessions.errors import VoiceError
from sessions.models import Recording, Tier, VoiceSession
from sessions.spool import Folder
from sessions.storage import storage

Pcm = NDArray[np.int16]

SILENCE = 1 << 16
"""Samples of silence given at once."""
_FLAC_HEAD = 42
_RATE_AT = slice(18, 21)
"""The sample rate in STREAMINFO: the upper 20 of 24 bits (RFC 9639, 8.2)."""


@dataclass(frozen=True, slots=True)
class Take:
    """One connection, lossless. `start`: the position of its first sample at 48 kHz,
    known for what is in storage; a journal says it itself."""

    rate: int
    journal: Path | None = None
    key: str = ""
    start: int = 0


@dataclass(frozen=True, slots=True)
class Original:
    """All of one person's connections, at one rate."""

    rate: int
    takes: tuple[Take, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """An original whose files are here."""

    rate: int
    sources: tuple[Callable[[], Iterator[tuple[int, Pcm]]], ...]

    def samples(self, start: int, stop: int) -> int:
        """How many `blocks` gives."""
        scale = TIMELINE_RATE // self.rate
        return -(-stop // scale) - start // scale

    def blocks(self, start: int, stop: int) -> Iterator[Pcm]:
        """The sound from `start` to `stop` (positions at 48 kHz) at `rate`; silence
        where there is none."""
        at = start // (TIMELINE_RATE // self.rate)
        end = at + self.samples(start, stop)
        for source in self.sources:
            for number, pcm in source():
                if at >= end:
                    return
                fresh = pcm[max(0, at - number) :]
                if not len(fresh):
                    continue
                begin = min(max(number, at), end)
                yield from _silence(begin - at)
                yield fresh[: end - begin]
                at = begin + min(len(fresh), end - begin)
        yield from _silence(end - at)


def of_session(session: VoiceSession) -> dict[UUID, Original]:
    """Who is kept whole: every connection of theirs, all at the same rate. Raises
    StorageError."""
    rows = Recording.objects.filter(session=session, participant__isnull=False)
    rows = rows.filter(tier__in=[Tier.CHUNK, Tier.FRAGMENT, Tier.ORIGINAL])
    stored: dict[str, Recording] = {}
    theirs: dict[UUID, set[str]] = defaultdict(set)
    for row in rows.select_related("participant").order_by("pk"):
        assert row.participant is not None
        theirs[row.participant.public_id].add(row.connection)
        if row.tier == Tier.ORIGINAL and row.state == Recording.State.STORED:
            stored[row.connection] = row
    root = spool.root() / str(session.public_id)
    found: dict[UUID, Original] = {}
    for person, connections in theirs.items():
        takes = [
            _take(Folder(root / name), stored.get(name)) for name in sorted(connections)
        ]
        whole = tuple(take for take in takes if take is not None)
        rates = {take.rate for take in whole}
        if len(whole) == len(takes) and len(rates) == 1:
            found[person] = Original(rates.pop(), whole)
    return found


def _take(folder: Folder, row: Recording | None) -> Take | None:
    if row is not None:
        head = storage().read(row.key, start=0, stop=_FLAC_HEAD)
        rate = int.from_bytes(head[_RATE_AT]) >> 4
        is_flac = head[:4] == b"fLaC" and rate and TIMELINE_RATE % rate == 0
        return Take(rate, key=row.key, start=row.start) if is_flac else None
    if not spool.is_file(folder.journal):
        return None
    try:
        with folder.journal.open("rb") as file:
            return Take(Journal(file).head.rate, journal=folder.journal)
    except (JournalError, OSError):
        return None


@contextlib.contextmanager
def opened(original: Original) -> Iterator[Opened]:
    """Its files, here: what lies in storage takes room on the disk, not in memory.
    Raises StorageError, and VoiceError `lost` for a journal that has gone."""
    with contextlib.ExitStack() as files:
        sources = [_source(take, files) for take in original.takes]
        yield Opened(original.rate, tuple(sources))


def _source(
    take: Take, files: contextlib.ExitStack
) -> Callable[[], Iterator[tuple[int, Pcm]]]:
    if take.journal is not None:
        try:
            file = files.enter_context(take.journal.open("rb"))
        except FileNotFoundError as e:
            message = "What arrived was dropped just now."
            raise VoiceError("lost", message, status=404) from e
        return lambda: _of_journal(file, take.rate)
    folder = files.enter_context(tempfile.TemporaryDirectory(dir=settings.DATA_DIR))
    path = Path(folder) / "original.flac"
    storage().get(take.key, path)
    return lambda: _of_flac(path, take.start // (TIMELINE_RATE // take.rate))


def _of_journal(file: BinaryIO, rate: int) -> Iterator[tuple[int, Pcm]]:
    """Numbered as `audio.original` writes it: sound never moves to an earlier place."""
    scale = TIMELINE_RATE // rate
    file.seek(0)
    first: int | None = None
    written = 0
    for placed in Journal(file).placed():
        first = placed.position if first is None else first
        written = max(written, (placed.position - first) // scale)
        yield first // scale + written, placed.pcm
        written += len(placed.pcm)


def _of_flac(path: Path, number: int) -> Iterator[tuple[int, Pcm]]:
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            pcm = frame.to_ndarray().reshape(-1).astype(np.int16, copy=False)
            yield number, pcm
            number += len(pcm)


def _silence(samples: int) -> Iterator[Pcm]:
    while samples > 0:
        yield np.zeros(min(samples, SILENCE), np.int16)
        samples -= SILENCE
