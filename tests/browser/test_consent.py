"""The step before the microphone opens, and taking it back."""

from __future__ import annotations

import pytest
from browser.conftest import OUTPUT, NewPage
from browser.fake_server import FakeServer
from browser.waiting import until
from playwright.async_api import Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def opened(server: FakeServer, new_page: NewPage, **options: object) -> Page:
    page = await new_page(permissions=["microphone"], **options)
    await page.goto(server.page)
    return page


async def press_speak(page: Page) -> None:
    await page.get_by_role("button", name="Speak", exact=True).click()


async def test_nothing_is_heard_before_they_agree(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await opened(server, new_page, viewport={"width": 390, "height": 844})
    await press_speak(page)
    step = page.get_by_role("dialog", name="Before you speak")
    await expect(step.get_by_text("Your voice is recorded.")).to_be_visible()
    await expect(step.get_by_text("How long it is kept:")).to_be_visible()
    await page.screenshot(path=OUTPUT / "consent-phone.png")
    assert server.streams == {}
    await step.get_by_role("button", name="Only read").click()
    await expect(step).to_be_hidden()
    assert server.streams == {}
    await press_speak(page)
    await page.keyboard.press("Escape")  # says no, too
    assert server.streams == {}
    await press_speak(page)
    await step.get_by_role("button", name="Agree and speak").click()
    await until(lambda: server.speakers == 1)
    (stream,) = server.streams.values()
    assert stream.consent.startswith("2026.1-")


async def test_it_is_remembered_for_this_session(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await opened(server, new_page)
    await press_speak(page)
    await page.get_by_role("button", name="Agree and speak").click()
    await until(lambda: server.speakers == 1)
    await page.reload()
    await until(lambda: server.speakers == 0)
    await press_speak(page)
    await until(lambda: server.speakers == 1)


async def test_they_stop_and_have_it_forgotten(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await opened(server, new_page, color_scheme="dark")
    forget = page.get_by_role("button", name="Stop and forget what I said")
    await expect(forget).to_be_hidden()
    await press_speak(page)
    await page.get_by_role("button", name="Agree and speak").click()
    await until(lambda: server.speakers == 1)
    await forget.click()
    step = page.get_by_role("dialog", name="Stop, and forget what you said?")
    await page.screenshot(path=OUTPUT / "forget-dark.png")
    await step.get_by_role("button", name="Stop and forget").click()
    await until(lambda: server.speakers == 0 and server.forgotten)
    assert server.forgotten == list(server.streams)
    await expect(forget).to_be_hidden()
    await press_speak(page)  # and is asked anew
    await expect(page.get_by_role("dialog", name="Before you speak")).to_be_visible()


async def test_somebody_who_is_not_recorded_stands_in_their_place(
    server: FakeServer, new_page: NewPage
) -> None:
    alice = server.join("Alice")
    server.say(alice, "hello team", at_s=1)
    server.say(alice, "who is there", at_s=40)
    server.tell("unrecorded", participant="p-1", name="Bob", at_ms=20_000)
    page = await opened(server, new_page)
    words = page.locator(".line .words")
    await expect(words).to_have_count(3)
    assert await words.all_inner_texts() == [
        "hello team",
        "(not recorded)",
        "who is there",
    ]
