"""A whole run's logs hold no secret and nothing that was said, however much is told,
and whatever is away."""

from __future__ import annotations

import asyncio
import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from chaos.services import BUCKET, Service, store
from postgres import postgres_server
from speech import voices
from stack import ALL, Stack, free_port, redis_words, wait_for
from talk import reading, talk

from bot.phone.caller import Caller

PHRASES = ["hello team thank you", "open the meeting please"]
WORDS = ("hello", "meeting", "please", "thank")
SETTINGS = {
    "SECRET_KEY": "a-secret-key-that-is-long-enough-for-anybody-0123456789",
    "METRICS_TOKEN": "metrics-token-3f0b1c",
    "DISCORD_CLIENT_ID": "400000000000000001",
    "DISCORD_CLIENT_SECRET": "client-secret-7c1a9e",
    "S3_SECRET_ACCESS_KEY": "s3-secret-5d2b8f",
    "S3_ACCESS_KEY_ID": "s3-access-88c1",
    "RESPONDER_KEY": "responder-key-91ab",
    "TTS_KEY": "tts-key-40fe",
    "EMAIL_HOST_PASSWORD": "mail-password-6d03",
}
PASSWORD, WRONG, NAME = "parley", "wr0ng-passw0rd-77", "Zuleika Dobson"
DATABASE_PASSWORD, REDIS_PASSWORD = "database-password-2b7e", "redis-password-c41f"


@contextmanager
def running(service: Service) -> Iterator[Service]:
    service.start()
    try:
        yield service
    finally:
        service.kill()


@pytest.fixture
def redis() -> Iterator[Service]:
    """One that asks for a password."""
    port = free_port()
    words = [*redis_words(port), "--requirepass", REDIS_PASSWORD]
    with running(Service(words, port)) as service:
        yield service


@pytest.fixture
def bucket() -> Iterator[Service]:
    with running(store()) as service:
        address = f"http://127.0.0.1:{service.port}/{BUCKET}"
        made = urllib.request.Request(address, method="PUT")
        urllib.request.urlopen(made, timeout=10).close()
        yield service


@pytest.fixture
def stack(redis: Service, bucket: Service) -> Iterator[Stack]:
    told_most = {"LOG_LEVEL": "DEBUG", "LOG_JSON": "True", "RESPONDER": "echo"}
    phone = {"AUDIOSOCKET_PORT": str(free_port())}
    with postgres_server() as address:
        beside = {
            "DATABASE_URL": address.replace("parley@", f"parley:{DATABASE_PASSWORD}@"),
            "REDIS_URL": f"redis://:{REDIS_PASSWORD}@127.0.0.1:{redis.port}/0",
            "S3_BUCKET": BUCKET,
            "S3_ENDPOINT_URL": f"http://127.0.0.1:{bucket.port}",
        }
        with Stack(programs=ALL, **SETTINGS, **told_most, **phone, **beside) as made:
            yield made


def signs_in(stack: Stack, password: str) -> str:
    """By the page, with a browser's cookies; the session cookie, "" if refused."""
    jar = http.cookiejar.CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    browser.open(f"{stack.url}/login", timeout=10).read()
    cookies = {one.name: one.value or "" for one in jar}
    form = {"login": "admin", "password": password}
    form["csrfmiddlewaretoken"] = cookies["csrftoken"]
    data = urllib.parse.urlencode(form).encode()
    browser.open(f"{stack.url}/login", data, timeout=10).read()
    return {one.name: one.value or "" for one in jar}.get("sessionid", "")


def missing(stack: Stack, path: str) -> None:
    """An address that is refused, and may be logged."""
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{stack.url}{path}", timeout=10)


def signed(stack: Stack, session_id: str) -> list[str]:
    """What lets whoever has it download the master: the long parts of its address."""
    key = {"Authorization": f"Bearer {stack.token}"}
    url = f"{stack.url}/api/sessions/{session_id}/download"
    with urllib.request.urlopen(urllib.request.Request(url, headers=key)) as answer:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.url).query)
        assert answer.read(100)
    found = [one for name, (one,) in query.items() if "sign" in name.lower()]
    assert found
    return [one for one in found if len(one) > 20]


async def a_call(port: int) -> None:
    caller = Caller("127.0.0.1", port)
    await caller.connect()
    await caller.wait(3)
    said = voices.speak(PHRASES[0])
    await caller.say(soxr.resample(said, voices.SAMPLE_RATE_HZ, 8_000), 8_000)
    await caller.wait(2)
    caller.hang_up()
    await caller.over(within_s=10)


@contextmanager
def away(service: Service) -> Iterator[None]:
    service.kill()
    yield
    service.start()


def logged(stack: Stack, event: str) -> None:
    """Return when somebody has logged it."""

    def is_told() -> bool:
        stack.health()  # who asks, misses Redis
        return event in stack.logs()

    wait_for(event, is_told, within_s=20)


async def test_nothing_of_it_is_in_any_log(
    stack: Stack, redis: Service, bucket: Service
) -> None:
    def used() -> list[str]:
        session = stack.new_session(title=f"{NAME} and others")
        path = f"/sessions/{session['id']}"
        share: dict[str, Any] = stack.api("POST", f"{path}/shares", {"days": 1})
        cookie = signs_in(stack, PASSWORD)
        assert cookie
        assert not signs_in(stack, WRONG)
        missing(stack, f"/session/{session['id']}?token=garbage-token-5521")
        missing(stack, "/shared/garbage-share-9917")
        sessions.append(session)
        return [session["token"], share["url"].rsplit("/", 1)[1], cookie]

    sessions: list[dict[str, Any]] = []
    secrets = await asyncio.to_thread(used)
    (session,) = sessions
    calling = asyncio.create_task(a_call(int(stack.env["AUDIOSOCKET_PORT"])))
    spoken = voices.speak_phrases(PHRASES, voice=voices.UNSEEN_VOICES[0], pause_s=1.2)
    async with reading(session) as viewer:
        sound = np.concatenate([spoken, voices.silence(1.2)])
        await talk(session, sound, name=urllib.parse.quote(NAME))
        await viewer.until(lambda v: len(v.lines) >= 2, within_s=30)
        said = " ".join(line["text"] for line in viewer.lines).lower()
        assert all(word in said for word in WORDS)
        stack.api("POST", f"/sessions/{session['id']}/end")
        await viewer.until(
            lambda v: v.of_type("state")[-1]["state"] == "ready", within_s=40
        )
    await calling
    secrets += await asyncio.to_thread(signed, stack, session["id"])
    with away(redis):
        await asyncio.to_thread(logged, stack, "health.down")
    again = await asyncio.to_thread(stack.new_session)
    secrets.append(again["token"])
    await talk(again, voices.silence(0.5), name=urllib.parse.quote(NAME))
    with away(bucket):
        stack.api("POST", f"/sessions/{again['id']}/end")
        await asyncio.to_thread(logged, stack, "recording.not_stored")
    stack.stop()
    told = stack.logs() + kept(stack.folder / "logs")
    assert "web.stopped" in told
    secrets += [*SETTINGS.values(), DATABASE_PASSWORD, REDIS_PASSWORD]
    secrets += [PASSWORD, WRONG, stack.token, "garbage-"]
    secrets.remove(SETTINGS["DISCORD_CLIENT_ID"])  # stands in every browser's address
    secrets.remove(PASSWORD)  # the program's own name
    assert not [secret for secret in secrets if secret in told]
    for word in (*WORDS, *NAME.lower().split()):
        line = re.search(rf"^.*\b{word}\b.*$", told, re.MULTILINE | re.IGNORECASE)
        assert line is None, line and line[0][:300]


def kept(folder: Path) -> str:
    """Everything below a folder of logs."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return "\n".join(path.read_text("utf-8", "replace") for path in files)
