"""A headless Chromium with a tone for a microphone, and pages that must stay clean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from browser.chromium import browser_hearing, write_wav
from browser.fake_server import FakeServer
from playwright.async_api import (
    Browser,
    BrowserContext,
    Page,
    expect,
)

OUTPUT = Path(__file__).resolve().parents[1] / "output"
# What Chromium itself writes when the network is gone on purpose.
WEATHER = ("Failed to load resource", "WebSocket connection to", "net::ERR_")

PATIENCE_MS = 20_000
"""For what comes at all; what is to come in time says so itself."""
expect.set_options(timeout=PATIENCE_MS)

NewPage = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """One Chromium for all tests; what its microphone hears is a tone of 1 kHz."""
    t = np.arange(4 * 48_000) / 48_000
    tone = (0.5 * 32767 * np.sin(2 * np.pi * 1000 * t)).astype(np.int16)
    folder = tmp_path_factory.mktemp("browser")
    async with browser_hearing(write_wav(folder / "tone.wav", tone)) as found:
        yield found


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
