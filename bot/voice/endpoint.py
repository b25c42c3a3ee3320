"""A server of the settings, asked by HTTP: patience, limits and plain errors.

Goes where the settings say and never where an answer points to. Neither questions nor
answers nor keys reach a log or an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import aiohttp

from bot.voice.address import is_http

T = TypeVar("T")

DRAIN_S = 0.2

_REASONS = {401: "refused", 403: "refused", 429: "busy"}


class EndpointError(Exception):
    """Why there is no answer.

    `reason` is one of unreachable, timeout, refused, busy, cut_off, too_long, failed.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Patience:
    """How much longer is waited for an answer: a store of seconds that waiting uses up
    and progress fills again, never above what it began with."""

    def __init__(self, timeout_s: float) -> None:
        self._most_s = self._left_s = timeout_s

    def earn(self, seconds: float) -> None:
        self._left_s = min(self._left_s + seconds, self._most_s)

    async def wait(self, answer: Awaitable[T]) -> T:
        """Raises EndpointError when it is used up."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(self._left_s):
                return await answer
        except TimeoutError as e:
            raise EndpointError("timeout", "did not answer in time") from e
        finally:
            self._left_s = max(self._left_s - (loop.time() - begun), 0.0)


class Answer:
    """The body of an answer, as it arrives."""

    def __init__(
        self, response: aiohttp.ClientResponse, *, patience: Patience, at_most: int
    ) -> None:
        self.content_type = response.content_type
        self._content = response.content
        self._patience = patience
        self._left = at_most

    async def read(self) -> bytes:
        """The next piece; nothing at the end. Raises EndpointError."""
        try:
            piece = await self._patience.wait(self._content.readany())
        except (aiohttp.ClientError, OSError) as e:
            raise EndpointError("cut_off", "broke off in mid-answer") from e
        self._left -= len(piece)
        if self._left < 0:
            raise EndpointError("too_long", "answered without end")
        return piece

    async def drain(self) -> None:
        """Read to its end, if that is near: the connection can be used again."""
        with suppress(EndpointError, TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while await self.read():
                    pass


class Endpoint:
    """One address that takes JSON by POST; its connections are kept for the next."""

    def __init__(self, url: str, *, key: str = "") -> None:
        if not is_http(url):
            raise ValueError("only http and https are spoken")
        self._url = url
        # Compressed, a small answer could be a large one.
        self._headers = {"Accept-Encoding": "identity"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._client: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def ask(
        self, question: dict[str, Any], *, patience: Patience, at_most: int
    ) -> AsyncIterator[Answer]:
        """The answer, once its head is there and says 200; `at_most` bytes of it.

        Leaving before its end closes the connection. Raises EndpointError.
        """
        async with await self._post(question, patience) as response:
            if response.status != 200:
                reason = _REASONS.get(response.status, "failed")
                raise EndpointError(reason, f"answered with status {response.status}")
            yield Answer(response, patience=patience, at_most=at_most)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _post(
        self, question: dict[str, Any], patience: Patience
    ) -> aiohttp.ClientResponse:
        """Asks again where the connection failed: a kept one may have gone stale."""
        try:
            try:
                return await patience.wait(self._send(question))
            except aiohttp.ClientConnectionError:
                return await patience.wait(self._send(question))
        except aiohttp.ClientConnectionError as e:
            raise EndpointError("unreachable", "cannot be reached") from e
        except (aiohttp.ClientError, OSError, ValueError) as e:
            raise EndpointError("failed", "answered what is no HTTP") from e

    async def _send(self, question: dict[str, Any]) -> aiohttp.ClientResponse:
        if self._client is None:
            no_limits = aiohttp.ClientTimeout(total=None, sock_connect=None)
            self._client = aiohttp.ClientSession(timeout=no_limits)
        return await self._client.post(
            self._url, json=question, headers=self._headers, allow_redirects=False
        )
