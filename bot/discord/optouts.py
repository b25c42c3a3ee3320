"""Who may be recorded: THE writer of OptOut, and what each packet is asked against.

A process keeps the list in memory: packets come fifty a second from everybody.
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.models import OptOut


def opt_out(user_id: int) -> bool:
    """Keep nothing of theirs from now on; whether that is news."""
    return OptOut.objects.get_or_create(user_id=str(user_id))[1]


def opt_in(user_id: int) -> bool:
    return bool(OptOut.objects.filter(user_id=str(user_id)).delete()[0])


class Admission:
    """Whose packets are taken. Asked on readers' threads."""

    def __init__(self, whitelist: Iterable[int] = ()) -> None:
        self._whitelist = frozenset(whitelist)
        self._opted_out: frozenset[int] = frozenset()

    def admits(self, user_id: int) -> bool:
        if self._whitelist and user_id not in self._whitelist:
            return False
        return user_id not in self._opted_out

    def refresh(self) -> None:
        """Read the list anew. Blocks."""
        ids = OptOut.objects.values_list("user_id", flat=True)
        self._opted_out = frozenset(map(int, ids))
