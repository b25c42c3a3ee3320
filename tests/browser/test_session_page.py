"""The real road: a microphone in one browser, the words on the page of another."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser.chromium import browser_hearing, write_wav
from browser.conftest import NewPage
from browser.waiting import speak
from playwright.async_api import Page, expect
from speech import voices
from stack import Stack
from talk import word_errors, words_of

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEED = 7_311
LEAD_S = 2.0  # a browser needs that long to lend its microphone
REAP = """
from datetime import timedelta
from asgiref.sync import async_to_sync
from django.utils import timezone
from sessions import reaper
async_to_sync(reaper.cycle)(now=timezone.now() + timedelta(hours=1))
"""
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(programs=("web", "stt", "media")) as running:
        yield running


@asynccontextmanager
async def speaking(
    session: dict[str, Any], phrases: list[str], folder: Path
) -> AsyncIterator[Page]:
    """Alice's browser: her microphone plays the phrases once; she has pressed Speak."""
    said = voices.speak_phrases(phrases, voice=voices.UNSEEN_VOICES[0], pause_s=1.1)
    sound = np.concatenate([voices.silence(LEAD_S), said, voices.silence(60)])
    wav = write_wav(folder / "speech.wav", sound, rate=16_000)
    async with browser_hearing(wav, loop=False) as browser:
        context = await browser.new_context(permissions=["microphone"])
        page = await context.new_page()
        await page.goto(session["page_url"])
        await page.get_by_label("Your name").fill("Alice")
        await speak(page)
        await expect(page.get_by_text("You are heard.")).to_be_visible()
        yield page


async def words_on(page: Page) -> list[str]:
    texts = await page.locator(".line:not(.partial) .words").all_inner_texts()
    return words_of(" ".join(texts))


async def read_all(page: Page, said: list[str], *, within_s: float) -> list[str]:
    """The words on the page as soon as there are as many lines as phrases."""
    lines = page.locator(".line:not(.partial)")
    await expect(lines.nth(len(said) - 1)).to_be_attached(timeout=within_s * 1000)
    return await words_on(page)


async def test_a_voice_stands_on_the_page_of_a_second_browser(
    stack: Stack, new_page: NewPage, tmp_path: Path
) -> None:
    session = stack.new_session(title="Two browsers")
    said = voices.unseen_phrases(5, seed=SEED, min_words=3)
    reader = await new_page()
    await reader.goto(session["page_url"])
    async with speaking(session, said, tmp_path) as speaker:
        await expect(reader.locator(".person .name")).to_have_text(["Alice"])
        await expect(reader.get_by_text("Demo model")).to_be_visible()
        read = await read_all(reader, said, within_s=60)
        wanted = words_of(" ".join(said))
        errors = word_errors(wanted, read)
        print(f"{errors} errors in {len(wanted)} words: {said} {read}")
        assert errors / len(wanted) <= 0.2
        assert await words_on(speaker) == read
        await speaker.get_by_role("button", name="Stop", exact=True).click()
        await expect(reader.locator(".person")).to_have_count(0)
    text = stack.api("GET", f"/sessions/{session['id']}/transcript.txt")
    assert words_of(text)[-1] == read[-1]


async def test_a_reader_who_looks_away_misses_nothing(
    stack: Stack, new_page: NewPage, tmp_path: Path
) -> None:
    session = stack.new_session()
    said = voices.unseen_phrases(3, seed=SEED + 1)
    stayed, looked_away = await new_page(), await new_page()
    for page in (stayed, looked_away):
        await page.goto(session["page_url"])
    async with speaking(session, said, tmp_path) as speaker:
        await speaker.evaluate(HIDE, True)  # speaking goes on unseen
        await expect(stayed.locator(".line").first).to_be_attached(timeout=20_000)
        await looked_away.evaluate(HIDE, True)
        read = await read_all(stayed, said, within_s=60)
        await looked_away.evaluate(HIDE, False)
        assert await read_all(looked_away, said, within_s=10) == read
        await speaker.evaluate(HIDE, False)
        assert await read_all(speaker, said, within_s=10) == read


async def test_nothing_is_lost_when_the_web_process_dies(
    stack: Stack, new_page: NewPage, tmp_path: Path
) -> None:
    session = stack.new_session()
    said = voices.unseen_phrases(5, seed=SEED + 2, min_words=3)
    reader = await new_page()
    await reader.goto(session["page_url"])
    async with speaking(session, said, tmp_path) as speaker:
        await expect(reader.locator(".line").first).to_be_attached(timeout=20_000)
        await asyncio.to_thread(stack.kill, "web")
        await expect(speaker.get_by_text("Keep talking")).to_be_visible()
        await expect(reader.get_by_text("Connection lost.")).to_be_visible()
        stack.start("web")
        heard = speaker.get_by_text("You are heard.")
        await expect(heard).to_be_visible(timeout=60_000)
        await expect(reader.get_by_text("Connection lost.")).to_be_hidden(
            timeout=60_000
        )
        await all_read_once(reader, words_of(" ".join(said)), within_s=60)


async def all_read_once(page: Page, wanted: list[str], *, within_s: float) -> None:
    """Until the page holds the words, each once, but for what the model misheard."""
    deadline = time.monotonic() + within_s
    while word_errors(wanted, read := await words_on(page)) > 0.2 * len(wanted):
        assert time.monotonic() < deadline, f"{wanted} {read}"
        await asyncio.sleep(0.1)


async def test_a_reaped_session_says_so_calmly(stack: Stack, new_page: NewPage) -> None:
    session = stack.new_session()
    page = await new_page()
    await page.goto(session["page_url"])
    await expect(page.locator("[data-part=state]")).to_have_text("Live")
    await page.evaluate(HIDE, True)
    await asyncio.to_thread(stack.manage, "shell", "-v0", "-c", REAP)
    await page.evaluate(HIDE, False)
    heading = page.get_by_role("heading", name="Session timed out")
    await expect(heading).to_be_visible(timeout=15_000)


async def test_a_session_is_made_by_hand(stack: Stack, new_page: NewPage) -> None:
    """From the start page to a link that opens without signing in."""
    page = await new_page()
    await page.goto(stack.url)
    await page.get_by_role("link", name="Sign in to start a session").click()
    await page.get_by_label("Name").fill("admin")
    await page.get_by_label("Password").fill("parley")
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_text("New session", exact=True).click()
    await page.get_by_label("What is it about?").fill("By hand")
    await page.get_by_label("Keep a recording").uncheck()
    await page.get_by_role("button", name="Start the session").click()
    await expect(page.get_by_role("heading", name="By hand")).to_be_visible()
    kept = page.locator("#consent").get_by_text("Nothing is kept")
    await expect(kept).to_be_visible()
    guest = await new_page()
    await guest.goto(page.url)
    await expect(guest.get_by_role("heading", name="By hand")).to_be_visible()
    await expect(guest.get_by_role("button", name="End")).to_have_count(0)
    await page.goto(page.url.split("?")[0])  # as from the list: the sign-in opens it
    await expect(page.get_by_role("button", name="Copy link")).to_be_visible()
    await page.get_by_role("button", name="End").click()
    await page.get_by_role("button", name="End session").click()
    ended = guest.get_by_role("heading", name=re.compile("This session"))
    await expect(ended).to_be_visible(timeout=15_000)
    answer = await guest.goto(page.url)
    assert answer
    assert answer.status == 404


async def test_every_page_keeps_to_its_policy(stack: Stack, new_page: NewPage) -> None:
    """Our pages, the administration and the API's manual: no error on any console."""
    page = await new_page()
    for path in ("/", "/login", "/admin/login/", "/api/docs"):
        answer = await page.goto(f"{stack.url}{path}")
        assert answer
        assert answer.status == 200, path
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    await expect(page.get_by_text("/api/sessions").first).to_be_visible()
