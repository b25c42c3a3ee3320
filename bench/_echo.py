"""Lines that send back what they hear, for the benchmark of the phone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from bot.phone.line import Line
    from bot.phone.pacing import Paced, Pacing


UUID_BYTES = 19


class Bare(asyncio.Protocol):
    """Sends back whatever comes behind the UUID, and does nothing else: what the
    machine has room for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._before = UUID_BYTES

    def data_received(self, data: bytes) -> None:
        if self._before:
            data, self._before = data[self._before :], 0
        if data:
            self._transport.write(data)


def echoing() -> type[Line]:
    from bot.phone.line import Line
    from bot.phone.protocol import Audio, audio

    class EchoLine(Line):
        """Sends back what comes at once, in place of silence at its pace."""

        def _hear(self, heard: Audio) -> None:
            super()._hear(heard)
            if self._transport is not None and not self._transport.is_closing():
                self._transport.write(audio(heard.pcm, self._kind))

    return EchoLine


def nobody_paces() -> Pacing:
    """Where all that is sent is an echo."""
    from bot.phone.pacing import Pacing

    class Unpaced(Pacing):
        def start(self) -> None: ...
        def add(self, line: Paced) -> int:
            return 0

        def pace(self, number: int, descriptor: int, silence: bytes) -> None: ...
        def use(self, number: int, silence: bytes) -> None: ...
        def remove(self, number: int, *, last: bytes = b"") -> None: ...

    return Unpaced()
