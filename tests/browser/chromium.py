"""Debian's Chromium without a screen, with a file for a microphone."""

from __future__ import annotations

import os
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.async_api import Browser, async_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]


def write_wav(path: Path, pcm: NDArray[np.int16], *, rate: int = 48_000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.astype("<i2").tobytes())
    return path


@asynccontextmanager
async def browser_hearing(wav: Path, *, loop: bool = True) -> AsyncIterator[Browser]:
    """A Chromium of its own whose microphone plays a file."""
    if not os.access(CHROMIUM, os.X_OK):
        pytest.skip("needs chromium")
    played = f"{wav}" if loop else f"{wav}%noloop"
    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[*FLAGS, f"--use-file-for-fake-audio-capture={played}"],
        )
        yield found
        await found.close()
