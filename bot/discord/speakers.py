"""Whose an SSRC is. The voice gateway says so, mostly; where it has not, the one whose
key opens the packets is their sender.

One voice connection's, for one thread at a time. Decrypts nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable


class Speakers:
    """Users by SSRC. A user has one; a newer one takes the place of the older."""

    def __init__(self) -> None:
        self._users: dict[int, int] = {}

    def told(self, *, user: int, ssrc: int) -> None:
        """Op 5, op 12, or a key that fitted."""
        self.left(user)
        if user and ssrc:  # 0 is nobody
            self._users[ssrc] = user

    def left(self, user: int) -> None:
        """Op 13: who comes back may have the same SSRC, and another may have it."""
        for ssrc in [ssrc for ssrc, one in self._users.items() if one == user]:
            del self._users[ssrc]

    def clear(self) -> None:
        """Op 4: a new connection gives everybody a new one."""
        self._users.clear()

    def user(self, ssrc: int) -> int | None:
        return self._users.get(ssrc)

    def without(self, members: Iterable[int]) -> list[int]:
        """Those of whom no SSRC is known: one of them sends what nobody owns to."""
        known = set(self._users.values())
        return [one for one in members if one not in known]
