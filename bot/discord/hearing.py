"""Whether what is said in a call arrives here, by the signs of one voice connection.

Knows who should be heard, not whether they are still there: that knows who asks. Does
nothing about it: that is `link`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from bot.discord.dave import SILENCE

BEFORE_ITS_NAME_S = 1.0
"""How much earlier than the word that somebody speaks their sound may be here."""
STILL_COMING_S = 5.0


class Missing(NamedTuple):
    """Sound that should be here and is not; `since_s` on the monotonic clock."""

    user: int | None
    """Whose; None: packets come, and nobody knows what is in them."""
    since_s: float


@dataclass(slots=True)
class Hearing:
    """Whether what is said arrives, by all that is known on this side: who begins to
    speak is announced, clients end what they say with silence, packets open.

    Discord does not answer our keep-alives everywhere, nor does it announce each time
    that somebody speaks: none of the signs is always there. Written on both threads,
    each field on one of them.
    """

    heard_s: float | None = None
    """When anything came that was understood."""
    _cut_off: Missing | None = None
    _announced: Missing | None = None
    _lost_since_s: float | None = None
    _lost_s: float = 0.0

    def heard(self, user: int, payload: bytes, *, now_s: float) -> None:
        is_end = payload == SILENCE
        self.heard_s = now_s
        self._cut_off = None if is_end else Missing(user, now_s)
        if not is_end:  # which is readable whatever the keys
            self._lost_since_s = None

    def lost(self, *, now_s: float) -> None:
        """A packet that did not open, or whose nobody knows."""
        self._lost_s = now_s
        if self._lost_since_s is None:
            self._lost_since_s = now_s

    def announced(self, user: int, *, now_s: float) -> None:
        self._announced = Missing(user, now_s)

    def missing(self, *, now_s: float) -> Missing | None:
        """What has been missing for longest. May be nothing more than a user who has
        stopped, or left: who asks knows the channel."""
        lost_since_s, announced = self._lost_since_s, self._announced
        if lost_since_s is not None and now_s - self._lost_s < STILL_COMING_S:
            return Missing(None, lost_since_s)
        heard_s = -1e9 if self.heard_s is None else self.heard_s
        if announced and heard_s < announced.since_s - BEFORE_ITS_NAME_S:
            return announced
        return self._cut_off
