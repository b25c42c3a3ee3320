"""Everything of somebody's in one file, made while it is sent: at no memory, and once
at a time."""

from __future__ import annotations

import io
import json
import tempfile
import tracemalloc
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.conf import settings as current
from django.contrib.auth.models import User
from django.test import AsyncClient
from pytest_django.fixtures import Settings
from recorded import Recorded
from scene import a_user

from sessions import finish, mixing, recordings, streaming
from sessions.models import Participant, Recording, Tier
from transcripts import doorbell, mydata
from transcripts.mydata import Own, Sound

pytestmark = pytest.mark.django_db(transaction=True)
in_db = database_sync_to_async


@pytest.fixture(autouse=True)
def _here(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    settings.LOGS_DIR = tmp_path / "logs"
    settings.REPORT_EMAILS = False
    for module in (recordings, finish, mixing):
        monkeypatch.setattr(module, "ring", lambda _: None)
    monkeypatch.setattr(doorbell, "ring", lambda *_, **__: True)
    yield
    assert not mydata._at_it
    assert streaming._places._value == streaming.AT_ONCE


@pytest.fixture
def ada() -> User:
    """She spoke with her account, twice; Bob with none."""
    ada = a_user("ada")
    for words in ("a secret", "another one"):
        talk = Recorded(title="A talk")
        hers, his = talk.joins(1, "Ada L"), talk.joins(2, "Bob")
        Participant.objects.filter(pk=hers.pk).update(user=ada)
        talk.sounds(hers, at_s=1.0)
        talk.says(hers, words)
        talk.says(his, "good morning", at_ms=3000)
        talk.ends()
    return ada


async def signed_in(user: User) -> AsyncClient:
    client = AsyncClient()
    await client.aforce_login(user)
    return client


async def asked(user: User) -> Any:
    return await (await signed_in(user)).get("/me/data.zip")


async def read(answer: Any) -> zipfile.ZipFile:
    pieces = [piece async for piece in answer.streaming_content]
    found = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert found.testzip() is None
    return found


async def test_they_download_everything_of_theirs(ada: User) -> None:
    answer = await asked(ada)
    assert answer["Content-Type"] == "application/zip"
    assert "my-data-" in answer["Content-Disposition"]
    data = await read(answer)
    told = json.loads(data.read("data.json"))
    sounds = [one for one in data.namelist() if one.endswith(".mp3")]
    assert len(sounds) == 2
    assert all(data.read(sound)[:2] == b"\xff\xfb" for sound in sounds)
    assert told["account"]["name"] == "ada"
    said = [line["text"] for spoken in told["spoken_in"] for line in spoken["lines"]]
    assert said == ["a secret", "another one"]
    assert "good morning" not in json.dumps(told)


async def test_what_is_lost_is_left_out(ada: User) -> None:
    rows = Recording.objects.filter(tier=Tier.FRAGMENT, participant__user=ada)
    row = await rows.afirst()
    assert row is not None
    (Path(current.STORAGE_DIR) / row.key).unlink()
    data = await read(await asked(ada))
    assert len([one for one in data.namelist() if one.endswith(".mp3")]) == 1


async def test_a_second_one_waits_until_the_first_is_done(ada: User) -> None:
    first = await asked(ada)
    second = await asked(ada)
    assert (second.status_code, b"already" in second.content) == (409, True)
    other = await asked(await in_db(a_user)("ben"))
    assert (await read(other)).namelist() == ["data.json"]
    await read(first)
    again = await asked(ada)
    assert again.status_code == 200
    again.close()
    last = await asked(ada)  # who hung up may come again
    assert last.status_code == 200
    last.close()


@pytest.fixture
async def busy() -> AsyncIterator[None]:
    def pieces() -> Iterator[bytes]:
        yield b"x"

    flows = [streaming.Flow(pieces()) for _ in range(streaming.AT_ONCE)]  # type: ignore[arg-type]
    yield
    for flow in flows:
        flow.close()


@pytest.mark.usefixtures("busy")
async def test_it_is_one_of_the_downloads_of_a_process(ada: User) -> None:
    answer = await asked(ada)
    assert (answer.status_code, answer["Retry-After"]) == (503, "10")


async def test_a_stranger_is_asked_who_they_are() -> None:
    answer = await AsyncClient().get("/me/data.zip")
    assert answer.status_code == 302


def test_many_hours_take_neither_memory_nor_disk(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, count = 20_000_000, 5
    key = "large.mp3"
    path = Path(current.STORAGE_DIR) / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    sounds = tuple(Sound(key, f"{n}.mp3") for n in range(count))
    monkeypatch.setattr(tempfile, "TemporaryFile", None)
    monkeypatch.setattr(tempfile, "TemporaryDirectory", None)
    tracemalloc.start()
    sent = sum(map(len, mydata.zipped(Own(ada.pk, "{}", sounds))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sent > size * count
    assert peak < 4e6
