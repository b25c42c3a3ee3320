"""The page that a share's link leads to, in a browser: narrow, dark, and clean."""

from __future__ import annotations

import pytest
from browser.conftest import OUTPUT, NewPage
from browser.fake_server import FakeServer
from django.template.loader import render_to_string
from playwright.async_api import expect
from scene import NOON

from sessions.models import VoiceSession
from transcripts.exports import Line

pytestmark = pytest.mark.asyncio(loop_scope="session")

LINES = [
    Line(1000 * n, 1000 * n + 900, name, text)
    for n, (name, text) in enumerate(
        [
            ("Ada", "Good morning, shall we begin?"),
            ("Grace", "One moment. " + "There is a lot to say about this. " * 6),
            ("Ada", "averylongwordthatdoesnotfitintoanarrowscreen" * 2),
        ]
    )
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["shared.html", "unshared.html"])
async def test_it_is_readable_and_fits(
    server: FakeServer, new_page: NewPage, name: str, scheme: str
) -> None:
    session = VoiceSession(title="Monday planning", started_at=NOON)
    context = {"session": session, "lines": LINES, "speakers": ["Ada", "Grace"]}
    server.rendered[name] = render_to_string(name, context | {"sound_url": "/none"})
    size = {"width": 390, "height": 780}
    page = await new_page(viewport=size, color_scheme=scheme)
    await page.goto(f"{server.url}/render/{name}")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await page.screenshot(path=OUTPUT / f"{name}-{scheme}.png")
