"""Sessions, tracks and sinks for the tests of sessions and of listening."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission, User
from django.db import connection, connections

from sessions import measures, opening
from sessions.audio.frames import Frame, Placed
from sessions.capture.sinks import Track
from sessions.models import State, VoiceSession

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
PATIENCE_S = 90.0


def a_user(name: str = "ada", *, staff: bool = False) -> User:
    user: User = get_user_model().objects.create_user(name, is_staff=staff)
    return user


def a_moderator(name: str = "mod") -> User:
    """Somebody who sees every session, by permission alone."""
    user = a_user(name, staff=True)
    found = Permission.objects.get(
        content_type__app_label="voice_sessions", codename="moderate"
    )
    user.user_permissions.add(found)
    return User.objects.get(pk=user.pk)  # without what it knew of its permissions


def on_discord(user: User, uid: str) -> User:
    """The same person, who has signed in with Discord."""
    SocialAccount.objects.create(user=user, provider="discord", uid=uid)
    return user


def a_session(state: State = State.ACTIVE, **fields: Any) -> VoiceSession:
    """A browser session in any state, with the times that belong to it."""
    if state not in (State.REQUESTED, State.WAITING):
        fields.setdefault("started_at", NOON)
    if state in (State.FINISHING, State.READY, State.FAILED, State.DELETED):
        fields.setdefault("ended_at", NOON + timedelta(minutes=5))
    return VoiceSession.objects.create(source="browser", state=state, **fields)


def an_open_session(**fields: Any) -> opening.Opened:
    return opening.open_browser_session(owner=fields.pop("owner", None), **fields)


def a_track(session: VoiceSession | None = None, *, participant: int = 1) -> Track:
    pk, public_id = (session.pk, session.public_id) if session else (1, uuid.uuid4())
    return Track(pk, public_id, participant, uuid.uuid4(), "Alice")


def counted(name: str, **labels: str) -> float:
    """What this process has counted so far, for `/metrics`."""
    return measures._here.get_sample_value(f"parley_{name}", labels) or 0.0


class Clock:
    """Time that passes when told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


class Listener:
    """A sink that remembers what it heard, and can be made to fail or to hang."""

    def __init__(self) -> None:
        self.arrived: list[Frame] = []
        self.heard: list[Placed] = []
        self.closed = self.concluded = 0
        self.fails = False
        self.fails_to_close = False
        self.may_close = asyncio.Event()
        self.may_close.set()

    @property
    def pcm(self) -> np.ndarray:
        return np.concatenate([p.pcm for p in self.heard] or [np.zeros(0, np.int16)])

    def arrive(self, frame: Frame) -> None:
        self.arrived.append(frame)

    def hear(self, placed: Placed) -> None:
        if self.fails:
            raise RuntimeError("this listener is broken")
        self.heard.append(placed)

    def flush(self) -> None:
        return None

    def settled(self) -> int | None:
        return None

    def conclude(self) -> None:
        self.concluded += 1

    async def close(self) -> None:
        await self.may_close.wait()
        self.closed += 1
        if self.fails_to_close:
            raise RuntimeError("this listener cannot even close")


def at_once(work: Callable[[int], Any], *, threads: int) -> list[Any]:
    """What `work(0…n-1)` returns when all begin together, each on its own connection;
    an exception is returned like a result."""
    results: list[Any] = [None] * threads
    gate = threading.Barrier(threads)

    def run(number: int) -> None:
        gate.wait(PATIENCE_S)
        try:
            results[number] = work(number)
        except Exception as e:  # to be looked at by the test
            results[number] = e
        finally:
            connections.close_all()

    crowd = [
        threading.Thread(target=run, args=(n,), daemon=True) for n in range(threads)
    ]
    connection.close()
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a thread never ended"
    return results


async def eventually(condition: Callable[[], Any], *, within_s: float = 10.0) -> Any:
    """The first true value of `condition`, looked at often."""
    until = asyncio.get_running_loop().time() + within_s
    while not (value := condition()):
        assert asyncio.get_running_loop().time() < until, "it never came true"
        await asyncio.sleep(0.01)
    return value
