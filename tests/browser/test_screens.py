"""How the pages look in every state: pictures for people, and nothing sticks out."""

from __future__ import annotations

import uuid
from typing import Any, Literal

import pytest
from browser.conftest import OUTPUT, NewPage
from browser.fake_server import FakeServer
from browser.waiting import speak, until
from django.template.loader import render_to_string
from playwright.async_api import Page, ViewportSize, expect

from sessions import dashboard, listing
from sessions.forms import NewSessionForm
from sessions.listing import Filters, Row

pytestmark = pytest.mark.asyncio(loop_scope="session")

Scheme = Literal["light", "dark"]
SIZES: dict[str, ViewportSize] = {
    "wide": {"width": 1100, "height": 760},
    "narrow": {"width": 390, "height": 844},
}
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
STICKS_OUT = """() => {
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth) return "the page scrolls sideways";
  const foot = document.querySelector(".foot")?.getBoundingClientRect();
  return foot && foot.bottom > innerHeight ? "the controls are cut off" : "";
}"""
TALK = [
    ("Alice Moreau", "Good morning. Shall we start with the plan for Monday?"),
    ("Ben", "Yes, please. The report is done, I will send it today."),
    ("Ben", "Two questions are left, both about the budget."),
    ("Chen Wei", "I can take those. The first one is easy: we have what we need until"
     " Friday. For the second we should call the project team tomorrow."),
    ("Alice Moreau", "Thank you. Then let us save that as a task and go on."),
    ("Zoë", "Before we do: the review of the new message screen is open."),
    ("Alice Moreau", "Right. I add it to the note."),
]  # fmt: skip


async def shoot(page: Page, name: str) -> None:
    """The page as it is, wide and narrow, light and dark; nothing may stick out."""
    OUTPUT.mkdir(exist_ok=True)
    for size, viewport in SIZES.items():
        await page.set_viewport_size(viewport)
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            path = OUTPUT / f"{name}-{size}-{scheme}.png"
            await page.screenshot(path=path, animations="disabled")
        assert await page.evaluate(STICKS_OUT) == ""


async def live(server: FakeServer, new_page: NewPage, **options: Any) -> Page:
    """A talk in full swing, with somebody in the middle of a sentence."""
    people: dict[str, str] = {}
    for at, (name, text) in enumerate(TALK):
        if name not in people:
            people[name] = server.join(name)
        server.say(people[name], text, at_s=6 + 7 * at)
    server.tell("tone", participant=people["Ben"], label="calm", confidence=0.9,
                start_ms=13_000, end_ms=15_000, mock=False)  # fmt: skip
    page = await new_page(**options)
    await page.goto(server.page)
    await expect(page.locator(".line")).to_have_count(len(TALK))
    await until(lambda: server.followers == 1)
    server.mumble(people["Chen Wei"], "Good, and the question of the", at_s=58,
                  line=str(uuid.uuid4()), rev=3, stable=18)  # fmt: skip
    await expect(page.locator(".partial")).to_have_count(1)
    return page


async def test_it_shows_a_talk(server: FakeServer, new_page: NewPage) -> None:
    page = await live(server, new_page, permissions=["microphone"])
    await page.get_by_label("Your name").fill("Zoë")
    await shoot(page, "live")
    await speak(page)
    await expect(page.get_by_text("You are heard.")).to_be_visible()
    (stream,) = server.streams.values()
    await until(lambda: len(stream.sound) > 16_000)
    await shoot(page, "speaking")
    server.think(demo=True, behind_s=12)
    await expect(page.get_by_text("behind.")).to_be_visible()
    await shoot(page, "behind")
    server.unplug()
    await expect(page.get_by_text("Connection lost.")).to_be_visible()
    await shoot(page, "reconnecting")
    server.plug_in()
    await expect(page.get_by_text("You are heard.")).to_be_visible(timeout=20_000)
    server.end("idle")
    await expect(page.get_by_text("Session timed out")).to_be_visible(timeout=20_000)
    await shoot(page, "timed-out")


async def test_it_shows_an_empty_session(server: FakeServer, new_page: NewPage) -> None:
    page = await new_page()
    await page.goto(server.page)
    await until(lambda: server.followers == 1)
    server.think(state="missing", message="there is no model in data/models/small.")
    await expect(page.get_by_text("Speech model missing")).to_be_visible()
    await shoot(page, "empty-missing-model")
    await page.locator("summary").click()
    await shoot(page, "menu")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="End").click()
    await shoot(page, "end-dialog")


async def test_it_shows_the_plain_pages(server: FakeServer, new_page: NewPage) -> None:
    server.rendered["mine"] = my_sessions()
    page = await new_page()
    for name in ("home.html", "registration:login.html", "404.html", "mine"):
        await page.goto(f"{server.url}/render/{name}")
        await expect(page.get_by_role("heading").first).to_be_visible()
        await shoot(page, name.split(":")[-1].removesuffix(".html"))


def my_sessions() -> str:
    from django.contrib.auth.models import User

    from sessions.faces import faces
    from sessions.models import VoiceSession

    titles = ["Monday planning", "", "A rather long title of a talk about the budget of"
              " the next quarter and what it means"]  # fmt: skip
    states = ["active", "ready", "finishing"]
    rows = tuple(
        Row(
            VoiceSession(title=title, source="browser", language="en"),
            state=state,
            people=faces(["Alice Moreau", "Ben"]),
            more_people=0,
            language="en",
            lasted="12 min",
            is_kept=True,
        )
        for title, state in zip(titles, states, strict=True)
    )
    live = {"cards": [], "more": 0}
    context = {
        "user": User(username="ada"),
        **dashboard.list_context(Filters(), listing.Page(rows)),
        **dashboard.page_context(NewSessionForm(), live=live),
    }
    return render_to_string("home.html", context)
