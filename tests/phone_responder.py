"""A responder that shows what it knows: how many turns came before the question."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from bot.voice.responder.port import History, Reply


class Counting:
    async def respond(
        self, history: History, text: str, *, language: str
    ) -> AsyncGenerator[Reply, None]:
        yield f"Turn {len(history)}, {text}."

    async def close(self) -> None:
        return None
