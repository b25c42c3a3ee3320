"""discord.py's gate for all requests, shut while Discord limits the bot as a whole.

discord.py opens it behind its own waiting, and so never again where a deadline of ours
breaks that off: then no request would leave this process any more.
"""

from __future__ import annotations

import asyncio

import discord


class Gate(asyncio.Event):
    """Set: open. It opens by itself `within_s` after it was shut."""

    def __init__(self, *, within_s: float) -> None:
        super().__init__()
        self._within_s = within_s
        self.set()

    def clear(self) -> None:
        super().clear()
        asyncio.get_running_loop().call_later(self._within_s, self.set)


def mend(client: discord.Client, *, within_s: float) -> None:
    """Give a client that is logged in such a gate; `within_s` is the longest limit that
    it waits out."""
    client.http._global_over = Gate(within_s=within_s)
