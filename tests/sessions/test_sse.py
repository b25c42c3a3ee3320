"""Server-sent events: the feed as lines, and nothing left when somebody goes."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import pytest
from channels.db import database_sync_to_async
from scene import an_open_session, eventually

from sessions import api, events
from sessions.capture.registry import registry
from sessions.crowd import crowd
from sessions.feed import Feed, feed
from sessions.opening import Opened

pytestmark = pytest.mark.django_db(transaction=True)

in_db = database_sync_to_async
HERE = "192.0.2.7"


@pytest.fixture
async def opened() -> Opened:
    return await in_db(an_open_session)()


async def never() -> None:
    """Whoever reads may do so for ever."""
    await asyncio.Event().wait()


def stream(
    opened: Opened,
    *,
    after: int = 0,
    until_ended: Callable[[], Coroutine[Any, Any, None]] = never,
) -> AsyncGenerator[str, None]:
    made = api._server_sent(opened.session.pk, after, HERE, until_ended)
    assert isinstance(made, AsyncGenerator)
    return made


async def comes(lines: AsyncGenerator[str, None]) -> str:
    return await asyncio.wait_for(anext(lines), 5)


def nothing_left() -> bool:
    return not (registry()._viewers or feed().followed() or crowd.count(HERE))


async def test_it_tells_when_to_return_and_numbers_what_is_stored(
    opened: Opened,
) -> None:
    lines = stream(opened)
    assert await comes(lines) == "retry: 1000\n\n"
    head, data, *rest = (await comes(lines)).split("\n")
    assert head == "id: 1"
    assert json.loads(data.removeprefix("data: "))["state"] == "active"
    assert rest == ["", ""]
    await lines.aclose()
    assert nothing_left()


async def test_line_breaks_in_what_is_said_break_no_line(opened: Opened) -> None:
    said = "one\ntwo\r\n\nid: 99\u2028"
    await in_db(events.append)(opened.session.pk, "utterance", {"text": said})
    lines = stream(opened, after=1)
    await comes(lines)
    line = await comes(lines)
    assert line.count("\n") == 3
    assert json.loads(line.split("\n")[1].removeprefix("data: "))["text"] == said
    await lines.aclose()


async def test_a_quiet_stream_is_kept_alive_and_counts_as_a_viewer_at_once(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "KEEP_ALIVE_S", 0.02)
    lines = stream(opened, after=1)
    await comes(lines)
    assert registry()._viewers == {opened.session.pk: 1}
    for _ in range(3):
        assert await comes(lines) == ": keep-alive\n\n"
    await in_db(events.append)(opened.session.pk, "notice", {})
    while (line := await comes(lines)).startswith(":"):
        pass
    assert line.startswith("id: 2\n")
    await lines.aclose()
    assert nothing_left()


async def test_whoever_hangs_up_while_nothing_comes_is_let_go(opened: Opened) -> None:
    lines = stream(opened, after=1)

    async def read() -> None:
        async for _ in lines:
            pass

    reading = asyncio.create_task(read())
    await eventually(lambda: feed().followed())
    reading.cancel()
    await asyncio.wait([reading])
    assert nothing_left()


async def test_whoever_is_dropped_in_mid_sending_is_let_go(opened: Opened) -> None:
    """Django closes only its own wrapping; ours goes with the last reference."""
    lines = stream(opened)
    await comes(lines)
    await comes(lines)
    assert not nothing_left()
    del lines
    gc.collect()
    await eventually(nothing_left)


async def test_a_feed_that_breaks_ends_the_stream(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> AsyncGenerator[object, None]:
        raise RuntimeError("a bug")
        yield  # makes it a generator

    monkeypatch.setattr(Feed, "follow", broken)
    lines = stream(opened)
    await comes(lines)
    with pytest.raises(RuntimeError):
        await comes(lines)
    assert nothing_left()


async def test_a_viewer_keeps_the_session_alive(opened: Opened) -> None:
    await in_db(type(opened.session).objects.update)(heartbeat_at=None)
    lines = stream(opened)
    await comes(lines)

    async def heart() -> object:
        await opened.session.arefresh_from_db()
        return opened.session.heartbeat_at

    for _ in range(200):
        if await heart():
            break
        await asyncio.sleep(0.02)
    assert await heart() is not None
    await lines.aclose()


async def test_whoever_may_not_read_any_more_is_let_go(opened: Opened) -> None:
    ended = asyncio.Event()

    async def until_ended() -> None:
        await ended.wait()

    lines = stream(opened, until_ended=until_ended)
    assert await comes(lines) == "retry: 1000\n\n"
    await comes(lines)
    ended.set()
    with pytest.raises(StopAsyncIteration):
        await comes(lines)
    assert nothing_left()
