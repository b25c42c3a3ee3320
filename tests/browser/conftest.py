"""A headless Chromium with a tone for a microphone, and pages that must stay clean."""

from __future__ import annotations

import os
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from browser.fake_server import FakeServer
from numpy.typing import NDArray
from playwright.async_api import (
    Browser,
    BrowserContext,
    Page,
    async_playwright,
    expect,
)

CHROMIUM = "/usr/bin/chromium"
OUTPUT = Path(__file__).resolve().parents[1] / "output"
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
# What Chromium itself writes when the network is gone on purpose.
WEATHER = ("Failed to load resource", "WebSocket connection to", "net::ERR_")

PATIENCE_MS = 20_000
"""For what comes at all; what is to come in time says so itself."""
expect.set_options(timeout=PATIENCE_MS)

NewPage = Callable[..., Awaitable[Page]]


def write_wav(path: Path, pcm: NDArray[np.int16], *, rate: int = 48_000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.astype("<i2").tobytes())
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """One Chromium for all tests; what its microphone hears is a tone of 1 kHz."""
    t = np.arange(4 * 48_000) / 48_000
    tone = (0.5 * 32767 * np.sin(2 * np.pi * 1000 * t)).astype(np.int16)
    folder = tmp_path_factory.mktemp("browser")
    async with browser_hearing(write_wav(folder / "tone.wav", tone)) as found:
        yield found


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


@pytest_asyncio.fixture(loop_scope="session")
async def server() -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    await fake.start()
    yield fake
    await fake.close()


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(browser: Browser) -> AsyncIterator[NewPage]:
    """Pages that fail the test when their console shows an error."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    async def open_page(**options: Any) -> Page:
        context = await browser.new_context(**options)
        contexts.append(context)
        page = await context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: (
                errors.append(message.text)
                if message.type in {"error", "warning"}
                else None
            ),
        )
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert [text for text in errors if not any(w in text for w in WEATHER)] == []


@pytest_asyncio.fixture(loop_scope="session")
async def blank(server: FakeServer, new_page: NewPage) -> Page:
    """An empty page of the server's origin, to run single modules in."""
    page = await new_page()
    await page.goto(f"{server.url}/blank")
    return page
