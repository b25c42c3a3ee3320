"""The page behind a share's link that is over: narrow, dark, and clean."""

from __future__ import annotations

import pytest
from browser.conftest import OUTPUT, NewPage
from browser.fake_server import FakeServer
from django.template.loader import render_to_string
from playwright.async_api import expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_readable_and_fits(
    server: FakeServer, new_page: NewPage, scheme: str
) -> None:
    server.rendered["unshared.html"] = render_to_string("unshared.html")
    size = {"width": 390, "height": 780}
    page = await new_page(viewport=size, color_scheme=scheme)
    await page.goto(f"{server.url}/render/unshared.html")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await page.screenshot(path=OUTPUT / f"unshared-{scheme}.png")
