"""The live page says how the session is, and moves a meter for whoever speaks."""

from __future__ import annotations

import pytest
from browser.access import check_access
from browser.conftest import NewPage
from browser.fake_server import FakeServer
from browser.test_screens import live, shoot
from browser.waiting import until
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

LEVEL = "one => Number(getComputedStyle(one).getPropertyValue('--level'))"


async def test_a_meter_moves_for_who_speaks_and_falls_by_itself(
    server: FakeServer, new_page: NewPage
) -> None:
    ada, ben = server.join("Ada"), server.join("Ben")
    page = await new_page()
    await page.goto(server.page)
    await expect(page.locator(".person")).to_have_count(2)
    await until(lambda: server.followers == 1)
    server.flash({"type": "levels", "levels": {ada: -15, ben: -60}})
    speaking = page.locator(".person.sounding")
    await expect(speaking).to_have_text("AAda")
    assert await speaking.evaluate(LEVEL) == 0.75
    await expect(speaking).to_have_count(0)
    assert await page.locator(".person").first.evaluate(LEVEL) == 0


async def test_it_says_that_it_records(server: FakeServer, new_page: NewPage) -> None:
    page = await new_page()
    await page.goto(server.page)
    await expect(page.get_by_text("Recording", exact=True)).to_be_visible()
    server.record = False
    await page.reload()
    await expect(page.get_by_text("Not recorded", exact=True)).to_be_visible()
    await until(lambda: server.followers == 1)
    server.end("requested")
    await expect(page.get_by_text("Not recorded", exact=True)).to_be_hidden()


async def test_trouble_stands_in_a_banner_until_it_is_over(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await live(server, new_page)
    server.flash({"type": "health", "recording": "disk"})
    server.think(state="missing", message="there is no model.")
    server.tell("storage", waiting=True)
    told = "Voices are told by loudness."
    server.tell("notice", code="voice_detection", message=told)
    for words in (
        "Recording degraded: the disk",
        "Speech model missing",
        "The storage does not answer",
        "Voices are told by loudness",
    ):
        await expect(page.get_by_text(words)).to_be_visible()
    server.flash({"type": "levels", "levels": {server.people[0]["id"]: -12}})
    await shoot(page, "health")
    await check_access(page)
    server.flash({"type": "health", "recording": "ok"})
    server.think(state="ready", message="")
    server.tell("storage", waiting=False)
    await expect(page.locator(".banner")).to_have_count(1)
    await page.reload()
    # What holds for the whole session is told to whoever comes later, too.
    await expect(page.get_by_text("Voices are told by loudness")).to_be_visible()
