"""The search in a browser: what was said is found, and the page opens at that line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser.conftest import NewPage
from browser.test_screens import shoot
from playwright.async_api import expect
from stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

LINES, SOUGHT = 80, 17
FILL = f"""
from django.contrib.auth.models import User
from sessions import lifecycle, opening, participants
from transcripts.utterances import Scripted, write
owner = User.objects.create_user("ada", password="secret words")
talk = opening.open_browser_session(owner=owner, title="Planning").session
person = participants.join(talk.pk, key="ben", name="Ben", connection="c")
for n in range({LINES}):
    at = n * 3 * 48_000
    text = "the lighthouse keeper" if n == {SOUGHT} else f"line number {{n}} of many"
    write(Scripted(talk.pk, person.pk, at, at + 48_000, text))
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(programs=("web",)) as running:
        running.manage("shell", "-v", "0", "-c", FILL)
        yield running


async def test_a_search_leads_to_the_second_it_was_said(
    stack: Stack, new_page: NewPage
) -> None:
    page = await new_page()
    await page.goto(f"{stack.url}/search?q=lighthouse")
    await page.get_by_label("Name").fill("ada")
    await page.get_by_label("Password").fill("secret words")
    await page.get_by_role("button", name="Sign in").click()
    hit = page.locator(".hits a")
    await expect(hit).to_have_count(1)
    await expect(hit.locator("mark")).to_have_text("lighthouse")
    await shoot(page, "search")
    await hit.click()
    line = page.locator(".line.sought")
    await expect(line).to_contain_text("the lighthouse keeper")
    await expect(line).to_be_in_viewport()
    await expect(page.locator(".line")).to_have_count(LINES)
    await expect(line).to_be_in_viewport()
    await expect(page.get_by_role("button", name="Jump to live")).to_be_visible()


async def test_the_header_leads_to_the_search(stack: Stack, new_page: NewPage) -> None:
    page = await new_page()
    await page.goto(f"{stack.url}/login")
    await page.get_by_label("Name").fill("ada")
    await page.get_by_label("Password").fill("secret words")
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("link", name="Search").click()
    box = page.get_by_label("Words that were said")
    await expect(box).to_be_focused()
    await box.fill('"of man')  # still being typed
    await box.press("Enter")
    await expect(page.locator(".hits a")).to_have_count(20)
    await page.get_by_role("link", name="Older").click()
    await expect(page.locator(".hits a").first).to_contain_text("line number 59")
    await box.fill("nobody says this")
    await box.press("Enter")
    await expect(page.get_by_text("Nobody said that")).to_be_visible()
