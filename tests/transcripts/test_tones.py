"""Tones against a real sidecar on this machine: well, slow, dead, talking rubbish."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from asgiref.sync import sync_to_async
from pytest_django.fixtures import Settings
from rooms import Room
from structlog.testing import capture_logs

from sessions.audio.frames import Placed
from sessions.capture.sinks import Track
from sessions.models import Participant
from transcripts import httpclassifier, tones
from transcripts.httpclassifier import parse
from transcripts.pieces import Slicer
from transcripts.tones import ToneSink

pytestmark = pytest.mark.django_db(transaction=True)

Answer = Callable[[dict[str, Any]], Awaitable[web.StreamResponse]]


class Sidecar:
    """Keeps what it was asked; answers as told."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.url = ""
        self._runner: web.AppRunner | None = None
        self.answer: Answer = self.calm

    async def calm(self, _: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({"label": "calm", "confidence": 0.8})

    async def starts(self) -> None:
        app = web.Application(client_max_size=2**22)
        app.router.add_post("/classify", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def dies(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.asked.append(asked)
        return await self.answer(asked)


@pytest.fixture
async def sidecar(settings: Settings) -> AsyncIterator[Sidecar]:
    httpclassifier._unwell.clear()
    sidecar = Sidecar()
    await sidecar.starts()
    settings.TONE_CLASSIFIER_URL = sidecar.url
    yield sidecar
    await sidecar.dies()


@pytest.fixture
async def track(live_cache: None, bell: object) -> Track:
    def enter() -> tuple[Room, Participant]:
        room = Room()
        return room, room.joins("Alice")

    room, alice = await sync_to_async(enter)()
    return Track(
        session_id=room.session.pk,
        session_public_id=room.session.public_id,
        participant_id=alice.pk,
        participant_public_id=alice.public_id,
        name="Alice",
    )


async def told(track: Track) -> list[dict[str, Any]]:
    from sessions import events

    log = await sync_to_async(events.replay)(track.session_id, after=0)
    return [event.data for event in log if event.type == "tone"]


def sound(*, at_ms: int = 0, ms: int = 20, level: int = 3000) -> Placed:
    samples = np.full(16 * ms, level, np.int16)
    return Placed(at_ms * 48, samples, 16_000)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (nothing else tells)
            await asyncio.sleep(0.01)


def listen(track: Track) -> ToneSink:
    sink = tones.listen(track)
    assert isinstance(sink, ToneSink)
    return sink


def speak(sink: ToneSink, *, ms: int, at_ms: int = 0) -> None:
    for start in range(at_ms, at_ms + ms, 20):
        sink.hear(sound(at_ms=start))


async def test_it_sends_seconds_of_sound_and_tells_their_tones(
    sidecar: Sidecar, track: Track
) -> None:
    sink = listen(track)
    speak(sink, at_ms=5000, ms=2400)
    await sink.close()
    assert [asked["timestamp_ms"] for asked in sidecar.asked] == [5000, 6000, 7000]
    assert [asked["duration_ms"] for asked in sidecar.asked] == [1000, 1000, 400]
    first = sidecar.asked[0]
    pcm = np.frombuffer(base64.b64decode(first["audio"]), "<i2")
    assert (len(pcm), int(pcm[0]), first["rate"]) == (16_000, 3000, 16_000)
    assert "Alice" not in json.dumps(sidecar.asked)
    found = await told(track)
    assert found[0] == {
        "participant": str(track.participant_public_id),
        "label": "calm",
        "confidence": 0.8,
        "start_ms": 5000,
        "end_ms": 6000,
        "mock": False,
    }
    assert len(found) == 3


async def test_below_the_floor_no_label_is_shown(
    sidecar: Sidecar, track: Track, settings: Settings
) -> None:
    settings.TONE_MIN_CONFIDENCE = 0.9
    sink = listen(track)
    speak(sink, ms=1000)
    await sink.close()
    assert len(sidecar.asked) == 1
    assert await told(track) == []


async def test_a_slow_sidecar_costs_pieces_and_no_time(
    sidecar: Sidecar, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tones, "CLOSE_S", 0.2)
    never = asyncio.Event()

    async def hang(_: dict[str, Any]) -> web.StreamResponse:
        await never.wait()
        raise AssertionError

    sidecar.answer = hang
    sink = listen(track)
    speak(sink, ms=1000)
    await until(lambda: bool(sidecar.asked))
    speak(sink, at_ms=1000, ms=20_000)  # returns at once, all of it
    assert sink.dropped == 20 - tones.QUEUE_PIECES
    async with asyncio.timeout(2):
        await sink.close()
    assert len(sidecar.asked) == 1
    never.set()


async def test_a_sidecar_that_times_out_is_asked_about_what_comes_next(
    sidecar: Sidecar, track: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = httpclassifier.aiohttp.ClientTimeout(total=0.2)
    monkeypatch.setattr(httpclassifier, "TIMEOUT", short)

    async def hang_once(asked: dict[str, Any]) -> web.StreamResponse:
        if asked["timestamp_ms"] == 0:
            await asyncio.sleep(1)
        return await sidecar.calm(asked)

    sidecar.answer = hang_once
    sink = listen(track)
    speak(sink, ms=2000)
    await sink.close()
    assert [tone["start_ms"] for tone in await told(track)] == [1000]


async def test_a_dead_sidecar_is_noted_once_and_its_return_too(
    sidecar: Sidecar, track: Track
) -> None:
    async def fail(_: dict[str, Any]) -> web.StreamResponse:
        return web.Response(status=503)

    sink = listen(track)
    with capture_logs() as logs:
        sidecar.answer = fail
        speak(sink, ms=3000)
        await until(lambda: sink.classified == 3)
        sidecar.answer = sidecar.calm
        speak(sink, at_ms=3000, ms=1000)
        await sink.close()
    names = [entry["event"] for entry in logs if "classifier_" in entry["event"]]
    assert names == ["tones.classifier_unwell", "tones.classifier_back"]
    assert [tone["start_ms"] for tone in await told(track)] == [3000]


async def test_nobody_at_the_address_harms_nobody(
    sidecar: Sidecar, track: Track
) -> None:
    await sidecar.dies()
    sink = listen(track)
    speak(sink, ms=2000)
    await sink.close()
    assert sink.classified == 2
    assert await told(track) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"null",
        b"[1, 2]",
        b'{"label": "calm"}',
        b'{"label": 5, "confidence": 0.9}',
        b'{"label": "", "confidence": 0.9}',
        b'{"label": "a\\nb", "confidence": 0.9}',
        b'{"label": "calm", "confidence": true}',
        b'{"label": "calm", "confidence": 7}',
        b'{"label": "calm", "confidence": NaN}',
        b'{"tones": "many"}',
        b"[" * 50_000,
        b" " * 100_000,
    ],
)
async def test_rubbish_is_no_tone(sidecar: Sidecar, track: Track, body: bytes) -> None:
    async def talk_rubbish(_: dict[str, Any]) -> web.StreamResponse:
        return web.Response(body=body)

    sidecar.answer = talk_rubbish
    sink = listen(track)
    speak(sink, ms=1000)
    sidecar_before = len(sidecar.asked)
    await sink.close()
    assert len(sidecar.asked) == sidecar_before + 1
    assert await told(track) == []


async def test_sound_does_not_follow_a_redirect(sidecar: Sidecar, track: Track) -> None:
    other = Sidecar()
    await other.starts()

    async def send_away(_: dict[str, Any]) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(f"{other.url}/classify")

    sidecar.answer = send_away
    sink = listen(track)
    speak(sink, ms=1000)
    await sink.close()
    assert (len(sidecar.asked), other.asked) == (1, [])
    await other.dies()


async def test_the_mock_is_marked_and_sends_nothing(
    sidecar: Sidecar, track: Track, settings: Settings
) -> None:
    settings.TONE_CLASSIFIER = "mock"
    sink = listen(track)
    speak(sink, ms=1000)
    await sink.close()
    assert sidecar.asked == []
    assert [tone["mock"] for tone in await told(track)] == [True]


def test_unset_nobody_listens(settings: Settings) -> None:
    settings.TONE_CLASSIFIER_URL = settings.TONE_CLASSIFIER = ""
    anyone = Track(1, uuid.uuid4(), 1, uuid.uuid4(), "Alice")
    assert tones.listen(anyone) is None


# --- what is pure ---


def test_several_tones_may_be_told_at_once() -> None:
    several = (
        b'{"tones": [{"label": "a", "confidence": 1}, {"label": "b", "confidence": 0}]}'
    )
    assert [(tone.label, tone.confidence) for tone in parse(several)] == [
        ("a", 1.0),
        ("b", 0.0),
    ]


def test_a_gap_ends_a_piece() -> None:
    slicer = Slicer()
    pieces = [
        piece
        for placed in (
            sound(at_ms=0, ms=600),
            sound(at_ms=5000, ms=1000),
            sound(at_ms=6000, ms=100),
            sound(at_ms=9000, ms=400),
        )
        for piece in slicer.add(placed)
    ] + slicer.flush()
    assert [(piece.start_ms, piece.end_ms) for piece in pieces] == [
        (0, 600),
        (5000, 6000),
        (9000, 9400),  # a tenth of a second is not worth a question
    ]
