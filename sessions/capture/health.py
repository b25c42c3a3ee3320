"""Health: tells a session's readers when its recording is in trouble, while it is.

Told through the live cache, from the event loop's side: never on the recorder's path.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Literal

from sessions import flashes
from sessions.background import spawn

Trouble = Literal["", "disk", "later"]
"""None; the disk does not take the sound, which waits in memory; this machine encodes
too slowly or not at all, and the files are made from the journal at the end."""

AGAIN_S = 8.0
"""What stands is told so often: sooner than it would be forgotten."""


class Health:
    """One recording's."""

    def __init__(
        self, session_id: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._session_id = session_id
        self._clock = clock
        self._told: Trouble = ""
        self._told_at = clock()
        self._loop = asyncio.get_running_loop()

    def is_now(self, trouble: Trouble) -> None:
        """Called on any thread, as often as one likes; costs nothing while all is
        well."""
        now = self._clock()
        stands = trouble and now - self._told_at >= AGAIN_S
        if trouble == self._told and not stands:
            return
        self._told, self._told_at = trouble, now
        self._loop.call_soon_threadsafe(self._tell, trouble)

    def _tell(self, trouble: Trouble) -> None:
        data = {"recording": trouble or "ok"}
        show = asyncio.to_thread(
            flashes.show, self._session_id, "health", "health", data
        )
        spawn(show, name="recording.health")
