"""DAVE, Discord's encryption from end to end, on the way in: media to Opus.

discord.py negotiates the keys; here they are used. A frame opens once and never again,
so nothing is tried twice. Its failures are normal in the moments in which members come
and go, and are counted; many in a row mean that our keys are no longer the group's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from davey import MediaType

SILENCE = b"\xf8\xff\xfe"
"""The Opus packet that Discord's servers and clients send unencrypted."""
MARKER = b"\xfa\xfa"
"""The end of every encrypted frame."""
FAILURES_MAX = 36
"""In a row; discord.js's measure: seven tenths of a second of one who speaks."""


class Keys(NamedTuple):
    """What discord.py holds right now: it replaces both as it likes."""

    session: Any
    """A `davey.DaveSession`, or None where nothing was negotiated."""
    version: int
    """0: not encrypted, as in stage channels."""


@dataclass(slots=True)
class Counts:
    opened: int = 0
    plain: int = 0
    failed: int = 0
    unready: int = 0
    """Came before our own keys did."""


class Unsealing:
    """One voice connection's. `broken` is told once when too many failed in a row, and
    not again before `mended`."""

    def __init__(self, keys: Callable[[], Keys], *, broken: Callable[[], None]) -> None:
        self.counts = Counts()
        self._keys = keys
        self._broken = broken
        self._in_a_row = 0
        self._is_told = False

    def opus(self, user: int, media: bytes, *, waited: bool = False) -> bytes | None:
        """The Opus packet that this user sent; None when it does not open. What has
        `waited` here may be of the keys before ours: then it says nothing of ours."""
        keys = self._keys()
        return self._plain(media, keys) or self._opened(
            user, media, keys.session, counts=not waited
        )

    def sender(self, members: Iterable[int], media: bytes) -> tuple[int, bytes] | None:
        """Who of these sent it, and the packet; None for all that names nobody: plain
        sound and silence, too."""
        session, _ = keys = self._keys()
        if self._plain(media, keys) is not None or session is None or not session.ready:
            return None
        for user in members:
            opus = self._try(user, media, session)
            if opus is not None:
                self._went_well()
                return user, opus
        return None

    def mended(self) -> None:
        """The group has new keys (op 22): failures count from nought."""
        self._in_a_row, self._is_told = 0, False

    def _plain(self, media: bytes, keys: Keys) -> bytes | None:
        """The media itself where it is not encrypted."""
        session, version = keys
        is_plain = session is None or (not version and not media.endswith(MARKER))
        if is_plain or media == SILENCE:
            self.counts.plain += 1
            return media
        return None

    def _opened(
        self, user: int, media: bytes, session: Any, *, counts: bool
    ) -> bytes | None:
        if not session.ready:
            self.counts.unready += 1
            return None
        opus = self._try(user, media, session)
        if opus is not None:
            self._went_well()
            return opus
        self.counts.failed += 1
        self._in_a_row += counts
        if self._in_a_row > FAILURES_MAX and not self._is_told:
            self._is_told = True
            self._broken()
        return None

    def _went_well(self) -> None:
        self.counts.opened += 1
        self._in_a_row = 0

    @staticmethod
    def _try(user: int, media: bytes, session: Any) -> bytes | None:
        try:
            return bytes(session.decrypt(user, MediaType.audio, media))
        except ValueError:  # no key of theirs, an old epoch, a replay, damage
            return None
