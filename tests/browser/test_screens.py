"""How the pages look in every state: pictures for people, and nothing overflows."""

from __future__ import annotations

import uuid
from typing import Any, Literal

import pytest
from browser.conftest import OUTPUT, NewPage
from browser.fake_server import FakeServer
from browser.waiting import until
from django.core.paginator import Paginator
from django.template.loader import render_to_string
from playwright.async_api import Page, expect

from sessions.forms import NewSessionForm

pytestmark = pytest.mark.asyncio(loop_scope="session")

Scheme = Literal["light", "dark"]
WIDE = {"width": 1100, "height": 760}
NARROW = {"width": 390, "height": 844}
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
    OUTPUT.mkdir(exist_ok=True)
    await page.screenshot(path=OUTPUT / f"{name}.png")
    wider = (
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    assert await page.evaluate(wider) <= 0, "the page scrolls sideways"
    foot = "document.querySelector('.foot')?.getBoundingClientRect().bottom ?? 0"
    assert await page.evaluate(f"{foot} <= innerHeight"), "the controls are cut off"


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["wide", "narrow"])
async def test_it_shows_a_talk(
    server: FakeServer, new_page: NewPage, scheme: Scheme, size: str
) -> None:
    viewport = WIDE if size == "wide" else NARROW
    page = await live(server, new_page, color_scheme=scheme, viewport=viewport,
                      permissions=["microphone"])  # fmt: skip
    await page.get_by_label("Your name").fill("Zoë")
    await shoot(page, f"live-{size}-{scheme}")
    await page.get_by_role("button", name="Speak").click()
    await expect(page.get_by_text("You are heard.")).to_be_visible()
    (stream,) = server.streams.values()
    await until(lambda: len(stream.sound) > 16_000)
    await shoot(page, f"speaking-{size}-{scheme}")
    server.think(demo=True, behind_s=12)
    await expect(page.get_by_text("behind.")).to_be_visible()
    await shoot(page, f"behind-{size}-{scheme}")
    server.unplug()
    await expect(page.get_by_text("Connection lost.")).to_be_visible()
    await shoot(page, f"reconnecting-{size}-{scheme}")
    server.plug_in()
    await expect(page.get_by_text("You are heard.")).to_be_visible(timeout=20_000)
    server.end("idle")
    await expect(page.get_by_text("Session timed out")).to_be_visible(timeout=20_000)
    await shoot(page, f"timed-out-{size}-{scheme}")


async def test_it_shows_an_empty_session(server: FakeServer, new_page: NewPage) -> None:
    page = await new_page(viewport=WIDE)
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


@pytest.mark.parametrize(
    "template", ["home.html", "registration:login.html", "404.html"]
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_shows_the_plain_pages(
    server: FakeServer, new_page: NewPage, template: str, scheme: Scheme
) -> None:
    name = template.split(":")[-1].removesuffix(".html")
    for size, viewport in (("wide", WIDE), ("narrow", NARROW)):
        page = await new_page(viewport=viewport, color_scheme=scheme)
        await page.goto(f"{server.url}/render/{template}")
        await expect(page.get_by_role("heading").first).to_be_visible()
        await shoot(page, f"{name}-{size}-{scheme}")


@pytest.mark.parametrize("size", ["wide", "narrow"])
async def test_it_lists_the_sessions(
    server: FakeServer, new_page: NewPage, size: str
) -> None:
    server.rendered["mine"] = my_sessions()
    page = await new_page(viewport=WIDE if size == "wide" else NARROW)
    await page.goto(f"{server.url}/render/mine")
    await expect(page.get_by_text("Untitled session")).to_be_visible()
    await shoot(page, f"mine-{size}")


def my_sessions() -> str:
    from django.contrib.auth.models import User

    from sessions.models import VoiceSession

    titles = ["Monday planning", "", "A rather long title of a talk about the budget of"
              " the next quarter and what it means"]  # fmt: skip
    states = ["active", "ready", "finishing"]
    rows = [VoiceSession(title=t, source="browser", language="en") for t in titles]
    page = Paginator(rows, 20).get_page(1)
    context = {
        "user": User(username="ada"),
        "form": NewSessionForm(),
        "page": page,
        "shown": list(zip(rows, states, strict=True)),
    }
    return render_to_string("home.html", context)
