"""Whatever clients do, in whatever order: connections end as documented, what a stream
has here never shrinks, and its ears hear what was said, in order and once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
from clients import Client, Ears, audio, in_db, nothing_held, present
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from scene import Listener, an_open_session, eventually
from structlog.testing import capture_logs

from sessions import consumers, finish
from sessions.audio.frames import PCM_RATES, TIMELINE_RATE
from sessions.capture.registry import registry
from sessions.wire import Close

STREAMS = 3
EARLIEST_END = 15
"""Steps before the session may end: nothing is taken behind it."""
GARBAGE: list[str | bytes] = [
    b"\0",
    bytes(64 * 1024 + 2),
    "",
    "null",
    "[" * 4000,
    "x" * 5000,
    '{"type": "dance"}',
    '{"type": "skip"}',
    '{"type": "skip", "samples": -1}',
    '{"type": "skip", "samples": 1e9}',
    '{"type": "skip", "samples": true}',
]
REFUSED: list[tuple[dict[str, str], Close]] = [
    ({"consent": ""}, Close.NO_CONSENT),
    ({"consent": "false"}, Close.NO_CONSENT),
    ({"consent": "%00"}, Close.BAD_ADDRESS),
    ({"rate": "44100"}, Close.BAD_ADDRESS),
    ({"stream": "me"}, Close.BAD_ADDRESS),
    ({"token": "wrong"}, Close.NOT_FOUND),
]
streams = st.integers(0, STREAMS - 1)


@dataclass
class Stream:
    """What was said over all connections of one, and who heard it."""

    key: uuid.UUID = field(default_factory=uuid.uuid4)
    said: list[bytes] = field(default_factory=list)
    received: int = 0
    """Samples at 48 kHz, said or skipped."""
    listeners: list[Listener] = field(default_factory=list)
    client: Client | None = None
    rate: int = 0


class Clients(RuleBasedStateMachine):
    """Some streams of one session, and those who never become one."""

    ears: ClassVar[Ears]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.opened = self.run(in_db(an_open_session)())
        self.streams = [Stream() for _ in range(STREAMS)]
        self.steps = 0
        self.is_over = False

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def check_invariants(self, *args: Any, **how: Any) -> None:
        self.steps += 1
        super().check_invariants(*args, **how)

    @rule(number=streams, rate=st.sampled_from(PCM_RATES))
    def connects(self, number: int, rate: int) -> None:
        self.run(self._connect(self.streams[number], rate))

    async def _connect(self, stream: Stream, rate: int) -> None:
        older = stream.client
        client = Client(audio(self.opened, stream=stream.key, rate=rate))
        await client.__aenter__()
        if self.is_over:
            assert (await client.closing())[0] == Close.ENDED
            return
        has = stream.received * rate // TIMELINE_RATE * 2
        assert await client.hears() == {"type": "ready", "bytes": has}
        stream.listeners.append(self.ears.listeners[-1])
        stream.client, stream.rate = client, rate
        if older is not None:
            assert (await older.closing())[0] == Close.REPLACED

    def _connected(self, number: int) -> Stream:
        """A stream, with a connection as long as there may be one."""
        stream = self.streams[number]
        if stream.client is None:
            self.connects(number, stream.rate or 16_000)
        return stream

    @rule(number=streams, samples=st.lists(st.integers(0, 3000), max_size=5))
    def speaks(self, number: int, samples: list[int]) -> None:
        stream = self._connected(number)
        for count in samples if stream.client else ():
            begin = stream.received % 30_000
            pcm = np.arange(begin, begin + count, dtype="<i2").tobytes()
            self.run(self._say(stream, pcm))

    async def _say(self, stream: Stream, pcm: bytes) -> None:
        assert stream.client is not None
        await stream.client.says(pcm)
        assert await stream.client.hears() == {"ok": True, "bytes": len(pcm)}
        stream.said.append(pcm)
        stream.received += len(pcm) // 2 * (TIMELINE_RATE // stream.rate)

    @rule(number=streams, samples=st.integers(0, 4000))
    def skips(self, number: int, samples: int) -> None:
        stream = self._connected(number)
        if stream.client is not None:
            text = f'{{"type": "skip", "samples": {samples}}}'
            self.run(self._ping(stream.client, text))
            stream.received += samples * (TIMELINE_RATE // stream.rate)

    @rule(number=streams)
    def pings(self, number: int) -> None:
        if (client := self._connected(number).client) is not None:
            self.run(self._ping(client))

    async def _ping(self, client: Client, *before: str) -> None:
        """An answer says that what was sent before it was taken."""
        for text in (*before, '{"type": "ping"}'):
            await client.says(text)
        assert await client.hears() == {"type": "pong"}

    @rule(number=streams, garbage=st.sampled_from(GARBAGE))
    def babbles(self, number: int, garbage: str | bytes) -> None:
        self._ends(self._connected(number), garbage, Close.BAD_FRAME)

    @rule(number=streams)
    def stops(self, number: int) -> None:
        self._ends(self._connected(number), '{"type": "stop"}', Close.DONE)

    @rule(number=streams)
    def floods(self, number: int) -> None:
        text = f'{{"type": "skip", "samples": {24 * 3600 * 8000}}}'
        self._ends(self._connected(number), text, Close.FLOOD)

    def _ends(self, stream: Stream, message: str | bytes, code: Close) -> None:
        if stream.client is not None:
            self.run(stream.client.says(message))
            assert self.run(stream.client.closing())[0] == code
            stream.client = None

    @rule(number=streams)
    def hangs_up(self, number: int) -> None:
        stream = self.streams[number]
        if stream.client is not None:
            self.run(stream.client.disconnect(timeout=5))
            stream.client = None

    @rule(number=streams)
    def is_cut_off(self, number: int) -> None:
        """As Daphne does with those who hang up and are slow."""
        stream = self.streams[number]
        if stream.client is not None:
            stream.client.future.cancel()
            self.run(asyncio.wait([stream.client.future], timeout=10))
            stream.client = None

    @rule(wrong=st.sampled_from(REFUSED))
    def is_refused(self, wrong: tuple[dict[str, str], Close]) -> None:
        query, code = wrong
        self.run(self._refused(query, code))

    async def _refused(self, query: dict[str, str], code: Close) -> None:
        token = query.get("token", self.opened.token)
        more = {name: value for name, value in query.items() if name != "token"}
        path = audio(self.opened, **more).replace(self.opened.token, token)
        async with Client(path) as client:
            closing = (await client.closing())[0]
            assert closing == (Close.ENDED if self._ends_first(code) else code)

    def _ends_first(self, code: Close) -> bool:
        return self.is_over and code == Close.NO_CONSENT

    @rule()
    def the_server_restarts(self) -> None:
        self.run(self._restart())
        self._all_closed(Close.RESTARTING)

    async def _restart(self) -> None:
        await registry().shut_down()

    @precondition(lambda self: self.steps > EARLIEST_END and not self.is_over)
    @rule()
    def the_session_ends(self) -> None:
        assert self.run(finish.end(self.opened.session.pk, reason="requested"))
        self.is_over = True
        self._all_closed(Close.ENDED)

    def _all_closed(self, code: Close) -> None:
        for stream in self.streams:
            if stream.client is not None:
                assert self.run(stream.client.closing())[0] == code
                stream.client = None

    def teardown(self) -> None:
        for number in range(STREAMS):
            self.hangs_up(number)
        self.run(eventually(nothing_held))
        assert self.run(present(self.opened)) == []
        self.runner.close()
        for stream in self.streams:
            heard = [placed for one in stream.listeners for placed in one.heard]
            pcm = b"".join(placed.pcm.astype("<i2").tobytes() for placed in heard)
            assert pcm == b"".join(stream.said)
            end = 0
            for placed in heard:
                assert placed.position >= end
                end = placed.end
            assert [one.closed for one in stream.listeners] == [1] * len(
                stream.listeners
            )


@pytest.mark.django_db(transaction=True)
def test_any_order_ends_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish, "ring", lambda _: None)
    monkeypatch.setattr(finish, "OTHERS_DEADLINE_S", 0.2)
    monkeypatch.setattr(Clients, "ears", Ears(), raising=False)
    monkeypatch.setattr(consumers, "open_sinks", Clients.ears)
    # Without making what fails shorter: that takes minutes, and it has forty steps.
    bounded = settings(
        max_examples=12,
        stateful_step_count=40,
        deadline=None,
        phases=(Phase.reuse, Phase.generate),
    )
    with capture_logs() as logs:
        run_state_machine_as_test(Clients, settings=bounded)
    faults = [one for one in logs if one["log_level"] in ("error", "critical")]
    assert not faults
