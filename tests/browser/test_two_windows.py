"""Two windows on one live session: the same lines at the same time, and one of them is
cut off for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from browser.conftest import NewPage
from cable import cable
from playwright.async_api import Page, expect
from speech import voices
from stack import Stack
from talk import talk

pytestmark = pytest.mark.asyncio(loop_scope="session")

APART_MS = 300
CUT_OFF_S = 20.0
PHRASES = 11
LINES = """
const linesOn = () => [...document.querySelectorAll(".line:not(.partial)")].map(
  (line) => `${line.querySelector("time").textContent} ${line.textContent}`,
);
"""
NOTE = f"""() => {{
  {LINES}
  const seen = (window.seen = new Map());
  const look = () => {{
    for (const line of linesOn()) if (!seen.has(line)) seen.set(line, Date.now());
  }};
  new MutationObserver(look).observe(document.body, {{
    subtree: true, childList: true, characterData: true, attributes: true,
  }});
  look();
}}"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(programs=("web", "stt", "media")) as running:
        yield running


async def seen_by(page: Page) -> dict[str, int]:
    """When each line came, whole: ms of the machine."""
    found: list[tuple[str, int]] = await page.evaluate("[...window.seen]")
    return dict(found)


async def lines_on(page: Page) -> list[str]:
    """As they stand on the page, from top to bottom."""
    found: list[str] = await page.evaluate(f"() => {{ {LINES} return linesOn(); }}")
    return found


@pytest.mark.alone
async def test_two_windows_show_the_same_and_one_that_was_cut_off_catches_up(
    stack: Stack, new_page: NewPage
) -> None:
    session = stack.new_session(title="Two windows")
    said = voices.unseen_phrases(PHRASES, seed=77, min_words=3)
    pcm = voices.speak_phrases(said, voice=voices.UNSEEN_VOICES[0], pause_s=2.5)
    port = urlsplit(stack.url).port
    assert port
    one, other = await new_page(), await new_page()
    async with cable(port) as line:
        await one.goto(session["page_url"])
        await other.goto(session["page_url"].replace(f":{port}", f":{line.port}"))
        for page in (one, other):
            await expect(page.locator("[data-part=state]")).to_have_text("Live")
            await page.evaluate(NOTE)
        talking = asyncio.create_task(talk(session, pcm))
        await expect(one.locator(".line:not(.partial)").nth(1)).to_be_attached(
            timeout=30_000
        )
        line.set("cut")
        came = await seen_by(other)
        await expect(other.get_by_text("Connection lost.")).to_be_visible()
        await asyncio.sleep(CUT_OFF_S)
        missed = len(await seen_by(one)) - len(came)
        line.set("well")
        await expect(other.get_by_text("Connection lost.")).to_be_hidden(timeout=20_000)
        mended = await seen_by(one)
        await talking
        for page in (one, other):
            await expect(page.locator(".line:not(.partial)")).to_have_count(
                PHRASES, timeout=30_000
            )
    assert missed >= 2, "the cut was too short to miss anything"
    lines = await lines_on(one)
    assert lines == await lines_on(other)
    assert len(set(lines)) == PHRASES, "a line stands there twice"
    here, there = await seen_by(one), await seen_by(other)
    live = came.keys() | (here.keys() - mended.keys())
    apart = [abs(there[line] - here[line]) for line in live]
    print(f"{len(apart)} lines, at most {max(apart)} ms apart; {missed} caught up with")
    assert len(apart) >= 3
    assert max(apart) < APART_MS
