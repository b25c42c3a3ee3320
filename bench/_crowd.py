"""A crowd for the load of Discord: members who talk like people, sealed ahead of time.

What each of them says is encrypted from end to end and for the transport before anybody
speaks: when it is due, a packet costs what sending it costs. How late and how busy the
generator is itself, it tells.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import soxr
from fakecord.people import Person
from fakecord.room import SPEAKING
from fakecord.rtp import FRAME, LEVEL, RATE, SILENCE, Rtp, opus
from fakecord.voice import TAIL
from fakecord.voicegateway import Connection
from speech import voices

FRAME_S = 0.02
SPURT_S = (1.0, 6.0)
"""How long somebody talks on end; all lengths are equally frequent."""
PHRASES = 12
ANNOUNCED_S = 0.04
"""How much earlier than their sound somebody's client tells that they speak."""
FIRST_SEQUENCE, FIRST_TIMESTAMP = 65_000, 2**32 - 20 * RATE
"""Both wrap in the middle."""
BREATH = 100
"""Packets sealed before the loop, and Discord on it, has its turn."""

Due = tuple[float, Callable[[Any], None], Any]
"""When, what is called, and with what."""


@dataclass(slots=True)
class Speaker:
    """One member, and when what they say is due."""

    person: Person
    phase_s: float
    """Where their 20 ms begin among those of the others."""
    frames: list[int] = field(default_factory=list)
    """Of each of their packets, the silence behind a spurt among them."""
    voiced: int = 0
    """Those that are no silence."""

    @property
    def due_s(self) -> list[float]:
        return [self.phase_s + frame * FRAME_S for frame in self.frames]


@dataclass(frozen=True, slots=True)
class Sent:
    """What the generator did: its packets, how late they were, its own CPU."""

    packets: int = 0
    late_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    took_s: float = 0.0


class Crowd:
    """Everybody's talk. `share` of the time each of them speaks."""

    def __init__(self, *, seconds: float, share: float, seed: int = 1) -> None:
        self.speakers: list[Speaker] = []
        self._seconds, self._share = seconds, share
        self._random = np.random.default_rng(seed)
        self._stock = [_spoken(number) for number in range(len(voices.UNSEEN_VOICES))]
        self._due: list[Due] = []

    @property
    def talk_share(self) -> float:
        """Of all their time, as it came out."""
        voiced = sum(speaker.voiced for speaker in self.speakers)
        return voiced * FRAME_S / (self._seconds * len(self.speakers))

    async def prepare(self, person: Person, connection: Connection) -> None:
        """Everything one member will say on this connection, sealed. Nobody may come
        or go in their channel from here on: the group's keys would change."""
        speaker = Speaker(person, self._random.uniform(0, FRAME_S))
        while not speaker.frames:
            for frame, count in self._spurts():
                await self._seal(speaker, connection, frame, count)
        self.speakers.append(speaker)

    def _spurts(self) -> list[tuple[int, int]]:
        """When they begin and how long they last, in frames."""
        random, (least, most) = self._random, SPURT_S
        pause_s = (least + most) / 2 * (1 - self._share) / self._share
        at, found = random.exponential(pause_s), []
        if random.random() < self._share:  # in the middle of something
            at = 0.0
        while at + least < self._seconds:
            length = min(random.uniform(least, most), self._seconds - at)
            found.append((int(at / FRAME_S), int(length / FRAME_S)))
            at += length + len(TAIL) * FRAME_S + random.exponential(pause_s)
        return found

    async def _seal(
        self, speaker: Speaker, connection: Connection, frame: int, count: int
    ) -> None:
        voice = speaker.person.voice
        assert voice is not None
        assert voice.session is not None
        begins_s = speaker.phase_s + frame * FRAME_S
        self._due.append((begins_s - ANNOUNCED_S, voice.announce, SPEAKING))
        stock = self._stock[int(self._random.integers(len(self._stock)))]
        first = int(self._random.integers(len(stock) - count))
        for number, packet in enumerate((*stock[first : first + count], *TAIL)):
            if packet != SILENCE:
                packet = voice.session.encrypt_opus(packet)
                speaker.voiced += 1
            made = Rtp(
                FIRST_SEQUENCE + len(speaker.frames),
                FIRST_TIMESTAMP + (frame + number) * FRAME,
                voice.ssrc,
                packet,
                extension=LEVEL,
            )
            sealed = connection.cipher.seal(made, next(connection._nonces))
            due_s = begins_s + number * FRAME_S
            self._due.append((due_s, connection.throw, sealed))
            speaker.frames.append(frame + number)
            if len(speaker.frames) % BREATH == 0:
                await asyncio.sleep(0)

    async def speak(self) -> Sent:
        """All of it, when it is due."""
        self._due.sort(key=lambda due: due[0])
        gc.collect()
        gc.freeze()  # else it is looked through again and again
        loop, late_s = asyncio.get_running_loop(), []
        cpu_s, began = time.process_time(), loop.time() + 2 * ANNOUNCED_S
        for due_s, do, what in self._due:
            early_s = began + due_s - loop.time()
            if early_s > 0:
                await asyncio.sleep(early_s)
            do(what)
            late_s.append(loop.time() - began - due_s)
        return Sent(
            packets=sum(len(speaker.frames) for speaker in self.speakers),
            late_s=late_s,
            cpu_s=time.process_time() - cpu_s,
            took_s=loop.time() - began,
        )


def _spoken(number: int) -> list[bytes]:
    """Half a minute of one voice, as Opus."""
    phrases = voices.unseen_phrases(PHRASES, seed=number)
    voice = voices.UNSEEN_VOICES[number]
    pcm = voices.speak_phrases(phrases, voice=voice, pause_s=0.15)
    return opus(soxr.resample(pcm, voices.SAMPLE_RATE_HZ, RATE))
