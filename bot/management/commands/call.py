"""`manage.py call`: a caller from a sound file, to try the phone without Asterisk."""

from __future__ import annotations

import asyncio
import uuid
from argparse import ArgumentTypeError
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import numpy as np
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from numpy.typing import NDArray

from bot.phone import clips
from bot.phone.caller import Caller
from bot.phone.protocol import DIGITS, KIND10, RATES

STAY_S = 5.0
Sound = NDArray[np.int16]


def key(text: str) -> tuple[float, str]:
    """`5@1.5`: the key 5 goes down at 1.5 s."""
    symbol, _, at_s = text.partition("@")
    try:
        if symbol in DIGITS:
            return float(at_s), symbol
    except ValueError:
        pass
    raise ArgumentTypeError(f"{text} is not a key and its second, as in 5@1.5")


class Command(BaseCommand):
    help = "Call the phone as Asterisk does, and say what a sound file says."

    def add_arguments(self, parser: CommandParser) -> None:
        add = parser.add_argument
        add("sound", type=Path, help="what the caller says: WAV, MP3 and others")
        add("--host", default="127.0.0.1")
        add("--port", type=int, default=getattr(settings, "AUDIOSOCKET_PORT", 9092))
        add("--uuid", type=uuid.UUID, default=None, help="of the call; else a new one")
        rates = sorted(RATES.values())
        add("--rate", type=int, choices=rates, default=8_000, help="samples a second")
        add("--kind10", action="store_true", help="name it 0x10, as old Asterisk does")
        add("--digits", type=key, nargs="*", default=[], metavar="KEY@SECOND")
        told = f"on the line in all; else {STAY_S:.0f} more than the sound"
        add("--seconds", type=float, default=None, help=told)
        add("--out", type=Path, default=None, help="a WAV file for what was heard")

    def handle(self, *args: Any, **options: Any) -> None:
        rate = options["rate"]
        line = self._line(options["sound"], rate, options["seconds"])
        caller = Caller(
            options["host"],
            options["port"],
            call=options["uuid"],
            kind10_rate=rate if options["kind10"] else RATES[KIND10],
        )
        asyncio.run(_call(caller, line, rate, options["digits"]))
        self._tell(caller)
        if (path := options["out"]) is not None:
            clips.write(path, clips.timeline(caller.heard, rate=rate), rate=rate)

    def _line(self, path: Path, rate: int, seconds: float | None) -> Sound:
        """The file's sound, and silence to the end of the call."""
        try:
            pcm = clips.read(path, rate=rate)
        except (OSError, av.FFmpegError, IndexError) as e:
            raise CommandError(f"{path} cannot be read as sound: {e}") from e
        if seconds is None:
            seconds = len(pcm) / rate + STAY_S
        line = np.zeros(round(seconds * rate), np.int16)
        line[: len(pcm)] = pcm[: len(line)]
        return line

    def _tell(self, caller: Caller) -> None:
        self.stdout.write(f"uuid: {caller.call}")
        for name, value in asdict(caller.summary()).items():
            shown = f"{value:.1f}" if isinstance(value, float) else value
            self.stdout.write(f"{name}: {shown}")


async def _call(
    caller: Caller, line: Sound, rate: int, digits: list[tuple[float, str]]
) -> None:
    try:
        await caller.connect()
    except OSError as e:
        raise CommandError(f"Nobody answers: {e}") from e
    await caller.say(line, rate, digits=digits)
    caller.hang_up()
    with suppress(TimeoutError):  # a server that reads no more
        await caller.over(within_s=1.0)
