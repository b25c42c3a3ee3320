"""A headless Chromium with a tone for a microphone, and pages that must stay clean."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from browser.fake_server import FakeServer
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

CHROMIUM = Path("/usr/bin/chromium")
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

NewPage = Callable[..., Awaitable[Page]]


def write_tone(path: Path, *, hertz: float, seconds: float) -> Path:
    """A WAV at 48 kHz, half of full scale."""
    t = np.arange(round(seconds * 48_000)) / 48_000
    pcm = (0.5 * 32767 * np.sin(2 * np.pi * hertz * t)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(pcm.tobytes())
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("needs chromium")
    folder = tmp_path_factory.mktemp("browser")
    tone = write_tone(folder / "tone.wav", hertz=1000, seconds=4)
    async with async_playwright() as playwright:
        found = await playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=[*FLAGS, f"--use-file-for-fake-audio-capture={tone}"],
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
        page.set_default_timeout(8000)
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
