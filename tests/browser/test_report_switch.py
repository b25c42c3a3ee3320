"""The switch for the report, on the page of a live session."""

from __future__ import annotations

import pytest
from browser.conftest import NewPage
from browser.fake_server import FakeServer
from browser.waiting import until
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_minutes_by_mail_are_ordered_and_cancelled(
    server: FakeServer, new_page: NewPage
) -> None:
    server.email, server.is_subscribed = "ada@example.org", True
    page = await new_page(viewport={"width": 390, "height": 800})
    await page.goto(server.page)
    switch = page.get_by_role("button", name="Minutes")
    await expect(switch).to_have_attribute("aria-pressed", "true")
    await switch.click()
    await expect(switch).to_have_attribute("aria-pressed", "false")
    await until(lambda: not server.is_subscribed)
    await page.reload()
    await expect(switch).to_have_attribute("aria-pressed", "false")
    server.refusal = "Not now."
    await switch.click()
    await expect(
        page.get_by_text("That could not be changed. Not now.")
    ).to_be_visible()
    await expect(switch).to_have_attribute("aria-pressed", "false")


async def test_who_has_no_address_has_no_switch(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await new_page()
    await page.goto(server.page)
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await expect(page.locator("[data-part=report]")).to_have_count(0)
