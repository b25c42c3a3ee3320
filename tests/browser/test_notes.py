"""Notes on the live page, and what others correct, rename and merge meanwhile."""

from __future__ import annotations

import uuid

import pytest
from browser.conftest import OUTPUT, NewPage
from browser.fake_server import FakeServer
from playwright.async_api import Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def opened(server: FakeServer, new_page: NewPage) -> Page:
    page = await new_page(viewport={"width": 390, "height": 780})
    await page.goto(server.page)
    await expect(page.locator("[data-part=state]")).to_have_text("Live")
    return page


async def test_a_note_is_taken_by_keyboard_at_the_moment_of_the_press(
    server: FakeServer, new_page: NewPage
) -> None:
    alice = server.join("Alice")
    server.say(alice, "hello team", at_s=1)
    page = await opened(server, new_page)
    await page.keyboard.press("n")
    await expect(page.get_by_role("heading", name="Note at 1:0")).to_be_visible()
    # The letter is one again where somebody types.
    await page.keyboard.type("nine items")
    await page.screenshot(path=OUTPUT / "note-dialog.png")
    await page.keyboard.press("Enter")
    note = page.locator(".lines .note")
    await expect(note.locator(".words")).to_have_text("nine items")
    await expect(note.locator(".by")).to_have_text("Guest")
    await expect(page.locator("dialog[open]")).to_have_count(0)
    (event,) = [one for one in server.events if one["type"] == "note"]
    assert 65_000 <= event["at_ms"] < 75_000
    await page.screenshot(path=OUTPUT / "note.png")


async def test_nothing_is_noted_by_who_changes_their_mind(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await opened(server, new_page)
    await page.get_by_role("button", name="Note").click()
    await page.keyboard.type("never mind")
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.locator("dialog[open]")).to_have_count(0)
    await page.get_by_role("button", name="Note").click()
    await expect(page.get_by_label("What to remember")).to_have_value("")
    await page.keyboard.press("Escape")
    assert [one for one in server.events if one["type"] == "note"] == []


async def test_a_refusal_is_told_and_the_words_stay(
    server: FakeServer, new_page: NewPage
) -> None:
    server.refusal = "Nothing of this session is kept."
    page = await opened(server, new_page)
    await page.get_by_role("button", name="Note").click()
    await page.keyboard.type("important")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("The note could not be kept.")).to_be_visible()
    await expect(page.get_by_label("What to remember")).to_have_value("important")
    server.refusal = ""
    await page.get_by_role("button", name="Keep note").click()
    await expect(page.locator(".lines .note .words")).to_have_text("important")


async def test_a_note_stands_at_its_moment_and_follows_its_changes(
    server: FakeServer, new_page: NewPage
) -> None:
    alice = server.join("Alice")
    server.say(alice, "first", at_s=1)
    server.say(alice, "second", at_s=9)
    page = await opened(server, new_page)
    note = {"id": str(uuid.uuid4()), "author": "", "name": "Ben"}
    server.tell("note", **note, at_ms=5000, text="here")
    words = page.locator(".lines .words")
    await expect(words).to_have_text(["first", "here", "second"])
    server.tell("note", **note, at_ms=12_000, text="there")
    await expect(words).to_have_text(["first", "second", "there"])
    server.tell("note.gone", id=note["id"])
    await expect(words).to_have_text(["first", "second"])


async def test_corrections_and_names_come_to_open_pages(
    server: FakeServer, new_page: NewPage
) -> None:
    alice, guest = server.join("Alice"), server.join("Guest 2")
    line = server.say(alice, "the read house", at_s=1)
    server.say(guest, "by the sea", at_s=30)
    page = await opened(server, new_page)
    names = page.locator(".line .name")
    await expect(names).to_have_text(["Alice", "Guest 2"])
    told = {key: line[key] for key in line if key not in ("seq", "type", "text")}
    server.tell("utterance.corrected", **told, text="the red house")
    await expect(page.locator(".line .words").first).to_have_text("the red house")
    server.tell("participant.renamed", participant=alice, name="Ada")
    await expect(names.first).to_have_text("Ada")
    await expect(page.locator(".person .name").first).to_have_text("Ada")
    server.tell("participant.merged", participant=guest, into=alice, name="Ada")
    await expect(names).to_have_text(["Ada", "Ada"])
    # What comes is shown so, too; also to whoever opens the page later.
    server.say(guest, "again", at_s=60)
    await expect(names).to_have_text(["Ada", "Ada", "Ada"])
    slots = [
        await row.get_attribute("data-slot")
        for row in await names.locator("xpath=ancestor::li").all()
    ]
    assert len(set(slots)) == 1
    later = await opened(server, new_page)
    await expect(later.locator(".line .name")).to_have_text(["Ada", "Ada", "Ada"])


async def test_when_the_session_is_over_there_is_no_now_to_note(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await opened(server, new_page)
    await page.keyboard.press("n")
    server.end("requested", state="ready")
    await expect(page.locator("dialog[open]")).to_have_count(0)
    await expect(page.get_by_role("button", name="Note")).to_have_count(0)
    await page.keyboard.press("n")
    await expect(page.locator("dialog[open]")).to_have_count(0)
