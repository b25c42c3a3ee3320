"""The pictures in README: taken of a real installation that real voices talk into.

`make pictures` starts the processes, has the people of the demo talk in three sessions,
one of which is over, and looks at the pages as a browser shows them.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser.chromium import browser_hearing, write_wav
from playwright.async_api import Page, expect
from speech import voices
from stack import ALL, Stack, wait_for
from talk import talk

from voiceproject import demo

FOLDER = ROOT / "docs" / "images"
SIZE = {"width": 1280, "height": 800}
LIVE = ("Monday planning", "Game night: the lighthouse")
OVER = "Weekly review"
ROUNDS = 3
"""How often the conversation is said where it goes on while pictures are taken."""


async def converse(session: dict[str, Any], *, times: int) -> None:
    """All people of the demo at once, each on a microphone of their own."""
    clips = demo.read_conversation(ROOT / "tests" / "speech" / "clips")
    heard = demo.microphones(clips, times=times)
    await asyncio.gather(
        *(talk(session, pcm, name=name.title()) for name, pcm in heard.items())
    )


@contextlib.asynccontextmanager
async def signed_in(stack: Stack) -> AsyncIterator[Page]:
    """A browser that the administrator looks into."""
    wav = write_wav(stack.folder / "silence.wav", voices.silence(1), rate=16_000)
    async with browser_hearing(wav) as browser:
        context = await browser.new_context(
            viewport=SIZE,  # type: ignore[arg-type]
            device_scale_factor=2,
            color_scheme="light",
        )
        page = await context.new_page()
        await page.goto(f"{stack.url}/login")
        await page.get_by_label("Name").fill("admin")
        await page.get_by_label("Password").fill("parley")
        await page.get_by_role("button", name="Sign in", exact=True).click()
        yield page


async def take(page: Page, name: str) -> None:
    await page.screenshot(path=FOLDER / f"{name}.png", animations="disabled")
    print(f"docs/images/{name}.png")


async def finished(stack: Stack) -> str:
    """The address of a session that is over, with its sound."""
    session = stack.new_session(title=OVER)
    await converse(session, times=1)
    stack.api("POST", f"/sessions/{session['id']}/end")
    path = f"/sessions/{session['id']}"
    is_ready = lambda: stack.api("GET", path)["state"] == "ready"  # noqa: E731
    await asyncio.to_thread(wait_for, "the recording", is_ready, within_s=120)
    return f"{stack.url}/session/{session['id']}"


async def pictures(stack: Stack) -> None:
    over = await finished(stack)
    live = [stack.new_session(title=title) for title in LIVE]
    talks = [asyncio.create_task(converse(one, times=ROUNDS)) for one in live]
    async with signed_in(stack) as page:
        await page.goto(stack.url)
        await expect(page.get_by_text(LIVE[0]).first).to_be_visible()
        await asyncio.sleep(12)  # until they have said something
        await take(page, "dashboard")
        await page.goto(f"{stack.url}/session/{live[0]['id']}")
        await expect(page.locator(".line.partial").first).to_be_attached(timeout=30_000)
        await take(page, "live")
        await page.goto(over)
        await expect(page.locator(".line .w").first).to_be_visible()
        await page.keyboard.press("Space")
        await asyncio.sleep(4)
        await take(page, "finished")
        await page.goto(f"{stack.url}/admin/operations/")
        await take(page, "admin")
    for one in talks:
        one.cancel()
    await asyncio.wait(talks)


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with Stack(programs=ALL) as stack:
        asyncio.run(pictures(stack))
    return 0


if __name__ == "__main__":
    sys.exit(main())
