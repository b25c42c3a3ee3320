"""Broken-off calls in Redis, where another machine's bot can take them up.

`call_session:{uuid}`, JSON, gone by itself after a while. Every request is bounded, and
raises RemoteError when it did not work; whoever asks decides what then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from sessions.errors import VoiceError

T = TypeVar("T")
REQUEST_S = 0.5


class RemoteError(VoiceError):
    """Redis is away, hangs, or does not take what it is given."""

    def __init__(self, fault: Exception) -> None:
        # Its name alone: its message may quote what was to be written, words and all.
        message = f"Redis does not answer: {type(fault).__name__}."
        super().__init__("redis_away", message, status=503)


def key(uuid: UUID) -> str:
    return f"call_session:{uuid}"


class Remote:
    """The calls in one Redis."""

    def __init__(self, url: str, *, ttl_s: int) -> None:
        self._ttl_s = ttl_s
        self._failed = False
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=REQUEST_S,
            socket_connect_timeout=REQUEST_S,
            retry=Retry(NoBackoff(), 0),
        )

    async def run_id(self) -> str:
        """Which run of the server answers: a new one may have forgotten everything.

        After a failure this is asked anew, on a connection of its own: the others lead
        to a server that is gone, and the next requests would fail on them.
        """
        if self._failed:
            pool = self._redis.connection_pool
            await self._bounded(pool.disconnect(inuse_connections=False))
        server: Mapping[str, Any] = await self._bounded(self._redis.info("server"))
        self._failed = False
        return str(server.get("run_id", ""))

    async def get(self, uuid: UUID, *, within_s: float = REQUEST_S) -> str | None:
        found = await self._bounded(self._redis.get(key(uuid)), within_s)
        return found.decode(errors="replace") if isinstance(found, bytes) else found

    async def write(self, texts: Mapping[UUID, str | None]) -> None:
        """Keep each text, for its time from now on; None: delete."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for uuid, text in texts.items():
                if text is None:
                    pipe.delete(key(uuid))
                else:
                    pipe.set(key(uuid), text, ex=self._ttl_s)
            await self._bounded(pipe.execute())

    async def close(self) -> None:
        await self._bounded(self._redis.aclose())

    async def _bounded(self, request: Awaitable[T], within_s: float = REQUEST_S) -> T:
        try:
            async with asyncio.timeout(within_s):
                return await request
        except (RedisError, OSError, TimeoutError) as e:
            self._failed = True
            raise RemoteError(e) from None
