"""Calls are kept while Redis comes and goes, and nobody who keeps one waits."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
import structlog
from stack import free_port, listens, wait_for
from structlog.testing import capture_logs

from bot.phone.dialogue import Saved, Speaker, Turn
from bot.phone.remote import key
from bot.phone.shelf import Shelf
from bot.phone.states import State
from bot.phone.store import CallStore

TTL_S = 1800
# What a call may wait for on a machine that is busy with something else, too.
AT_ONCE_S = 0.45


class Server:
    """A real Redis that keeps its address while it is stopped and started."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.client = redis.Redis.from_url(self.url)

    def start(self) -> None:
        words = ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(
            [*words, "--save", "", "--appendonly", "no", "--dir", str(self._folder)],
            **quiet,  # type: ignore[call-overload]
        )
        wait_for("redis", lambda: listens(self._port), within_s=10)

    def stop(self) -> None:
        """As a machine that is gone: what it held is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def text(self, uuid: UUID) -> str:
        found: Any = self.client.get(key(uuid))
        return found.decode() if found else ""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.client.close()
    made.stop()


@asynccontextmanager
async def store_in(
    folder: Path, *, url: str = "", wall: Callable[[], float] = time.time
) -> AsyncIterator[CallStore]:
    store = CallStore(folder, redis_url=url, ttl_s=TTL_S, look_s=0.05, wall=wall)
    store.start()
    try:
        yield store
    finally:
        await store.close()


def said(*words: str) -> Saved:
    turns = tuple(Turn(Speaker.CALLER, word, n) for n, word in enumerate(words))
    return Saved(State.LISTENING, turns)


def words(saved: Saved | None) -> list[str]:
    return [turn.text for turn in saved.turns] if saved else []


def kept_in(folder: Path, word: str = "") -> set[str]:
    """Calls with a file here that holds the word."""
    kept = folder.glob("*.json")
    return {path.stem for path in kept if not word or word in path.read_text()}


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - files and Redis ring no bell
            await asyncio.sleep(0.005)


async def looked_after(server: Server, store: CallStore) -> None:
    """Until a new store has asked Redis how it is: it begins with that."""
    store.start()
    await until(lambda: "info" in [c["cmd"] for c in server.client.client_list()])


# --- without Redis ------------------------------------------------------------------


async def test_a_call_outlives_the_process_without_redis(tmp_path: Path) -> None:
    uuid = uuid4()
    killed = CallStore(tmp_path / "calls")
    killed.save(uuid, said("one"))
    killed.save(uuid, said("one", "two"))
    assert words(await killed.load(uuid)) == ["one", "two"]
    await until(lambda: kept_in(tmp_path / "calls") == {str(uuid)})
    await until(lambda: killed.health().unwritten == 0)
    async with store_in(tmp_path / "calls") as store:
        assert words(await store.load(uuid)) == ["one", "two"]
        assert not store.health().is_degraded
    await killed.close()


async def test_a_call_that_ended_is_forgotten(tmp_path: Path) -> None:
    uuid = uuid4()
    async with store_in(tmp_path) as store:
        store.save(uuid, said("one"))
        await until(lambda: bool(kept_in(tmp_path)))
        store.forget(uuid)
        assert await store.load(uuid) is None
        await until(lambda: not kept_in(tmp_path))
        assert store.health().calls == 0


async def test_a_call_that_ended_is_not_kept_again(tmp_path: Path) -> None:
    """A late word of its transcript must not bring it back."""
    uuid = uuid4()
    async with store_in(tmp_path) as store:
        store.save(uuid, said("one"))
        store.forget(uuid)
        await until(lambda: not kept_in(tmp_path))
        store.save(uuid, replace(said("one", "two"), state=State.ENDED))
        assert await store.load(uuid) is None
        assert store.health().calls == 0
    assert not kept_in(tmp_path)


async def test_what_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    uuid = uuid4()
    async with store_in(tmp_path) as store:
        store.save(uuid, said("one"))
        await until(lambda: not store.health().unwritten)
        store.save(uuid, said("one"))
        assert store.health().unwritten == 0
        store.save(uuid, said("one", "two"))
        assert store.health().unwritten == 1


async def test_closing_writes_what_is_unwritten(tmp_path: Path) -> None:
    calls = [uuid4() for _ in range(50)]
    async with store_in(tmp_path) as store:
        for uuid in calls:
            store.save(uuid, said("one"))
    assert kept_in(tmp_path) == {str(uuid) for uuid in calls}


async def test_a_call_is_not_kept_longer_than_its_time(tmp_path: Path) -> None:
    uuid = uuid4()
    async with store_in(tmp_path, wall=lambda: 1_000_000.0) as store:
        store.save(uuid, said("one"))
    async with store_in(tmp_path, wall=lambda: 1_000_000.0 + TTL_S - 1) as store:
        assert words(await store.load(uuid)) == ["one"]
    async with store_in(tmp_path, wall=lambda: 1_000_000.0 + TTL_S) as store:
        assert await store.load(uuid) is None


async def test_what_nobody_dialled_again_is_swept(tmp_path: Path) -> None:
    async with store_in(tmp_path) as store:
        store.save(uuid4(), said("one"))
    (name,) = kept_in(tmp_path)
    os.utime(tmp_path / f"{name}.json", (1000, 1000))
    async with store_in(tmp_path):
        await until(lambda: not kept_in(tmp_path))


async def test_what_cannot_be_read_is_a_fresh_call(tmp_path: Path) -> None:
    uuid = uuid4()
    (tmp_path / f"{uuid}.json").write_bytes(b'{"version": 1, "state": "\xff\x00 secret')
    async with store_in(tmp_path) as store:
        with capture_logs() as logs:
            assert await store.load(uuid) is None
    assert [entry["event"] for entry in logs] == ["call.unreadable"]
    assert "secret" not in str(logs)


async def test_a_folder_that_cannot_be_written_is_said_once_and_tried_again(
    tmp_path: Path,
) -> None:
    uuid = uuid4()
    (tmp_path / "calls").write_text("no folder")
    with capture_logs() as logs:
        async with store_in(tmp_path / "calls") as store:
            store.save(uuid, said("one"))
            await until(lambda: store.health().is_degraded)
            assert words(await store.load(uuid)) == ["one"]
            await until(lambda: store.health().unwritten == 1)
            (tmp_path / "calls").unlink()
            await until(lambda: not store.health().is_degraded)
            assert kept_in(tmp_path / "calls") == {str(uuid)}
    assert [entry["event"] for entry in logs] == ["outage.began", "outage.ended"]


async def test_a_read_that_takes_long_is_no_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(Shelf, "get", lambda shelf, uuid: goes_on.wait(10) and None)
    with capture_logs() as logs:
        async with store_in(tmp_path) as store:
            assert await store.load(uuid4()) is None
            assert not store.health().is_degraded
            goes_on.set()
    assert [entry["event"] for entry in logs] == ["call.read_late"]


# --- with Redis ---------------------------------------------------------------------


async def test_a_call_outlives_the_machine_with_redis(
    tmp_path: Path, server: Server
) -> None:
    uuid = uuid4()
    server.start()
    async with store_in(tmp_path / "here", url=server.url) as store:
        store.save(uuid, said("one"))
        await until(lambda: server.text(uuid) != "")
        assert 0 < int(str(server.client.ttl(key(uuid)))) <= TTL_S
        async with store_in(tmp_path / "there", url=server.url) as other:
            assert words(await other.load(uuid)) == ["one"]
        assert not kept_in(tmp_path / "here")
        store.forget(uuid)
        await until(lambda: server.text(uuid) == "")


async def test_no_call_notices_that_redis_is_stopped_and_started(
    tmp_path: Path, server: Server
) -> None:
    calls, here = [uuid4() for _ in range(20)], tmp_path / "here"
    server.start()
    longest_s = 0.0
    with capture_logs() as logs:
        async with store_in(here, url=server.url) as store:

            async def talk(word: str) -> None:
                """Each call says one word more, and one is dialled again."""
                nonlocal longest_s
                for uuid in calls:
                    began = time.thread_time()
                    said_by[uuid].append(word)
                    store.save(uuid, said(*said_by[uuid]))
                    longest_s = max(longest_s, time.thread_time() - began)
                began = time.monotonic()
                assert words(await store.load(calls[0])) == said_by[calls[0]]
                await store.load(uuid4())
                assert time.monotonic() - began < AT_ONCE_S

            def all_have(word: str) -> bool:
                return all(word in server.text(uuid) for uuid in calls)

            said_by: dict[UUID, list[str]] = {uuid: [] for uuid in calls}
            await talk("before")
            await until(lambda: all_have("before"))
            server.stop()
            await talk("during")
            await until(lambda: kept_in(here, "during") == set(map(str, calls)))
            assert store.health().is_degraded
            async with store_in(here, url=server.url) as again:
                kept = [words(await again.load(uuid)) for uuid in calls]
            assert kept == [["before", "during"]] * 20
            await talk("later")
            gone = calls.pop()
            store.forget(gone)
            server.start()
            await until(lambda: all_have("later"))
            assert not store.health().is_degraded
            await until(lambda: not kept_in(here))
            assert server.text(gone) == ""
            await talk("after")
            await until(lambda: all_have("after"))
    assert longest_s < 0.005
    warned = [entry["event"] for entry in logs if entry["log_level"] == "warning"]
    assert warned == ["outage.began"] * 2 + ["outage.ended"]  # `again` saw it as well


async def test_a_redis_that_forgot_everything_is_told_again(
    tmp_path: Path, server: Server
) -> None:
    """It was away only between two looks, when nobody wrote."""
    uuid = uuid4()
    now = 0.0
    server.start()
    store = CallStore(tmp_path, redis_url=server.url, look_s=0.02, clock=lambda: now)
    await looked_after(server, store)
    store.save(uuid, said("one"))
    await until(lambda: server.text(uuid) != "")
    server.stop()
    server.start()
    assert server.text(uuid) == ""

    def is_told() -> bool:
        nonlocal now
        now += 1.0
        return server.text(uuid) != ""

    await until(is_told)
    await store.close()


async def test_a_redis_that_is_full_is_as_if_away_and_the_log_has_no_words(
    tmp_path: Path, server: Server
) -> None:
    uuid = uuid4()
    server.start()
    server.client.config_set("maxmemory", "1")
    faults: list[str] = []
    with capture_logs(processors=[structlog.processors.format_exc_info]) as logs:
        async with store_in(tmp_path / "here", url=server.url) as store:
            store.save(uuid, said("secret"))
            await until(lambda: kept_in(tmp_path / "here") == {str(uuid)})
    faults = [entry["exception"] for entry in logs if "exception" in entry]
    assert "RemoteError" in faults[0]
    assert "SET" not in str(logs)  # the request that failed, with what was said


async def test_redis_may_be_away_at_the_start(tmp_path: Path, server: Server) -> None:
    uuid = uuid4()
    async with store_in(tmp_path / "here", url=server.url) as store:
        assert await store.load(uuid) is None
        store.save(uuid, said("one"))
        await until(lambda: kept_in(tmp_path / "here") == {str(uuid)})
        assert store.health().is_degraded
        server.start()
        await until(lambda: server.text(uuid) != "")
        await until(lambda: not store.health().is_degraded)


async def test_a_redis_that_hangs_holds_no_call_up(tmp_path: Path) -> None:
    uuid = uuid4()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        async with store_in(tmp_path, url=url) as store:
            began = time.monotonic()
            assert await store.load(uuid) is None
            store.save(uuid, said("one"))
            assert words(await store.load(uuid)) == ["one"]
            assert time.monotonic() - began < AT_ONCE_S
            await until(lambda: kept_in(tmp_path) == {str(uuid)})


async def test_the_newest_of_redis_and_folder_is_taken(
    tmp_path: Path, server: Server
) -> None:
    uuid = uuid4()
    async with store_in(tmp_path) as store:
        store.save(uuid, said("old"))
    server.start()
    async with store_in(tmp_path / "other", url=server.url) as store:
        store.save(uuid, said("old", "new"))
    async with store_in(tmp_path, url=server.url) as store:
        assert words(await store.load(uuid)) == ["old", "new"]


async def test_a_running_call_is_renewed_before_its_time_is_over(
    tmp_path: Path, server: Server
) -> None:
    uuid = uuid4()
    now = 0.0
    server.start()
    store = CallStore(tmp_path, redis_url=server.url, look_s=0.02, clock=lambda: now)
    await looked_after(server, store)
    store.save(uuid, said("one"))
    await until(lambda: server.text(uuid) != "")
    server.client.expire(key(uuid), 5)
    now = TTL_S / 3
    await until(lambda: int(str(server.client.ttl(key(uuid)))) > 5)
    await store.close()
