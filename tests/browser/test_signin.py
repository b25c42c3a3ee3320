"""Signing in with Discord in a browser: the policy lets it go there, and come back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser.access import check_access
from browser.conftest import NewPage
from browser.test_screens import shoot
from oauth_discord import CLIENT, SECRET, OAuthDiscord
from playwright.async_api import expect
from stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

NARROW = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def discord() -> Iterator[OAuthDiscord]:
    with OAuthDiscord() as server:
        yield server


@pytest.fixture(scope="module")
def stack(discord: OAuthDiscord) -> Iterator[Stack]:
    with Stack(
        programs=("web",),
        DISCORD_CLIENT_ID=CLIENT,
        DISCORD_CLIENT_SECRET=SECRET,
        DISCORD_OAUTH_URL=discord.url,
    ) as running:
        yield running


async def test_the_button_leads_to_discord_and_back(
    stack: Stack, new_page: NewPage
) -> None:
    page = await new_page(viewport=NARROW)
    await page.goto(f"{stack.url}/search")
    await shoot(page, "sign-in")
    await page.get_by_role("button", name="Sign in with Discord").click()
    await expect(page).to_have_url(f"{stack.url}/search")
    await page.get_by_role("link", name="eve").click()
    await page.get_by_role("link", name="linked").click()
    await expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    await expect(page.get_by_text("Discord: Eve")).to_be_visible()
    await shoot(page, "account")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("link", name="Sign in", exact=True)).to_be_visible()


async def test_who_says_no_is_told_and_nothing_more(
    stack: Stack, discord: OAuthDiscord, new_page: NewPage
) -> None:
    page = await new_page()
    await page.goto(f"{stack.url}/login")
    discord.consents = False
    await page.get_by_role("button", name="Sign in with Discord").click()
    heading = page.get_by_role("heading", name="You are not signed in")
    await expect(heading).to_be_visible()
    discord.consents = True


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_pages_are_for_everybody(
    stack: Stack, new_page: NewPage, scheme: str
) -> None:
    page = await new_page(viewport=NARROW, color_scheme=scheme)
    for path in ("/login", "/login/discord", "/login/cancelled", "/nowhere"):
        await page.goto(f"{stack.url}{path}")
        await check_access(page)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= NARROW["width"], path
