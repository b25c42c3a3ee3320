"""Waiting for something that happens elsewhere, with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Page

PATIENCE_S = 10.0
LOOK_S = 0.02


async def until(
    happened: Callable[[], object], *, within_s: float = PATIENCE_S, what: str = ""
) -> None:
    """Return as soon as `happened()` is true. Raises AssertionError at the deadline."""
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline, f"did not happen: {what or happened}"
        await asyncio.sleep(LOOK_S)


async def speak(page: Page) -> None:
    """Press Speak, and agree where that is asked."""
    await page.get_by_role("button", name="Speak", exact=True).click()
    agree = page.get_by_role("button", name="Agree and speak")
    if await agree.is_visible():
        await agree.click()
