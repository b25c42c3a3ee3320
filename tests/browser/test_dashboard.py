"""The dashboard in a browser: cards come and go by themselves, the list follows its
filters, and everybody can use it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from browser.access import check_access
from browser.conftest import NewPage
from browser.test_screens import shoot
from browser.waiting import speak
from playwright.async_api import Page, expect
from stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

FILL = """
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from sessions import opening, participants
from sessions.models import Participant, State, VoiceSession
from transcripts.utterances import Scripted, write
ada = User.objects.create_user("ada", password="secret words")
ben = User.objects.create_user("ben", password="secret words")
now = timezone.now()
for n in range(26):
    source = ("browser", "discord", "phone")[n % 3]
    begun = now - timedelta(days=1 + n)
    talk = VoiceSession.objects.create(
        source=source, owner=ada, state=State.READY, title=f"Talk number {n:02}",
        language=("en", "de")[n % 2], created_at=begun, started_at=begun,
        ended_at=begun + timedelta(minutes=7 + 11 * n),
    )
    for name in ("Alice Moreau", "Ben", "Chen Wei", "Zoë", "Dora")[: 1 + n % 5]:
        Participant.objects.create(session=talk, key=name, name=name)
    person = talk.participants.first()
    text = "the lighthouse keeper" if n == 4 else f"line of talk {n}"
    write(Scripted(talk.pk, person.pk, 48_000, 96_000, text))
"""
OPEN = """
from django.contrib.auth.models import User
from sessions import events, opening, participants, flashes
from sessions.models import VoiceSession
ada = User.objects.get(username="ada")
talk = opening.open_browser_session(owner=ada, title="{title}").session
VoiceSession.objects.filter(pk=talk.pk).update(source="{source}")
for name in {people}:
    participants.join(talk.pk, key=name, name=name, connection=name)
print(talk.public_id)
"""
SAY = """
from sessions import events
from sessions.models import VoiceSession
talk = VoiceSession.objects.get(public_id="{id}")
who = talk.participants.first()
events.append(talk.pk, "utterance", {{
    "id": "u", "participant": str(who.public_id), "name": who.name,
    "start_ms": 1000, "end_ms": 2000, "text": "{text}"}})
"""
SOUND = """
from sessions import flashes
from sessions.models import VoiceSession
talk = VoiceSession.objects.get(public_id="{id}")
who = talk.participants.first()
flashes.show(talk.pk, "levels", "levels", {{"levels": {{str(who.public_id): -12}}}})
flashes.show(talk.pk, f"partial:{{who.pk}}", "partial", {{
    "id": "p", "participant": str(who.public_id), "name": who.name,
    "start_ms": 3000, "end_ms": 4000, "text": "and then we"}})
"""
END = """
from asgiref.sync import async_to_sync
from sessions import finish
from sessions.models import VoiceSession
talk = VoiceSession.objects.get(public_id="{id}")
async_to_sync(finish.end)(talk.pk, reason="requested")
"""
SIGN_OUT = """
from django.contrib.sessions.models import Session
Session.objects.all().delete()
"""


class House:
    """A running stack, and what is done in it behind the page's back."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    async def do(self, script: str, **values: Any) -> str:
        code = script.format(**values) if values else script
        shell = ("shell", "-v0", "-c", code)
        return (await asyncio.to_thread(self.stack.manage, *shell)).strip()

    async def begin(self, title: str, *people: str, source: str = "browser") -> str:
        given = json.dumps(people)
        return await self.do(OPEN, title=title, people=given, source=source)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with Stack(programs=("web",)) as running:
        running.manage("shell", "-v", "0", "-c", FILL)
        yield House(running)


async def signed_in(
    house: House, new_page: NewPage, name: str = "ada", **options: Any
) -> Page:
    page = await new_page(**options)
    await page.goto(f"{house.stack.url}/login")
    await page.get_by_label("Name").fill(name)
    await page.get_by_label("Password").fill("secret words")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Live now")).to_be_visible()
    return page


async def test_cards_come_speak_and_go_by_themselves(
    house: House, new_page: NewPage
) -> None:
    page, other = [await signed_in(house, new_page) for _ in range(2)]
    stranger = await signed_in(house, new_page, "ben")
    await expect(page.get_by_text("Nobody is talking just now")).to_be_visible()
    first = await house.begin("Monday planning", "Alice Moreau", "Ben")
    second = await house.begin("Support line", "Caller", source="phone")
    third = await house.begin("raid-night", "Zoë", "Dora", "Emil", source="discord")
    for window in (page, other):
        await expect(window.locator(".card")).to_have_count(3)
    card = page.locator(f'[data-session="{first}"]')
    await expect(card.locator(".name")).to_have_text(["Alice Moreau", "Ben"])
    await house.do(SAY, id=first, text="Shall we open the plan?")
    await expect(card.locator(".last")).to_contain_text("Shall we open the plan?")
    await expect(other.get_by_text("Shall we open the plan?")).to_be_visible()
    await house.do(SAY, id=second, text="My order has not come yet.")
    await house.do(SOUND, id=first)
    await expect(card.locator(".last.provisional")).to_contain_text("and then we")
    await expect(card.locator(".elapsed")).to_have_text(re.compile(r"^\d+:\d\d$"))
    await shoot(page, "dashboard-live")
    await check_access(page)
    await house.do(END, id=third)
    for window in (page, other):
        await expect(window.locator(".card")).to_have_count(2)
    await expect(stranger.locator(".card")).to_have_count(0)
    for made in (first, second):
        await house.do(END, id=made)
    await expect(page.locator(".card")).to_have_count(0)
    await expect(page.get_by_text("Nobody is talking just now")).to_be_visible()


async def test_a_microphone_moves_the_meter_on_both_pages(
    house: House, new_page: NewPage
) -> None:
    board = await signed_in(house, new_page)
    page = await signed_in(house, new_page, permissions=["microphone"])
    talk = await house.begin("Out loud")
    await page.goto(f"{house.stack.url}/session/{talk}")
    await page.get_by_label("Your name").fill("Alice")
    await speak(page)
    await expect(page.locator(".person.sounding .name")).to_have_text("Alice")
    card = board.locator(f'[data-session="{talk}"]')
    await expect(card.locator(".sounding .name")).to_have_text("Alice")
    await expect(card.get_by_text("1 reading along")).to_be_visible()
    await page.get_by_role("button", name="Stop", exact=True).click()
    await expect(card.get_by_text("Nobody has a microphone on.")).to_be_visible()
    await house.do(END, id=talk)
    await expect(card).to_have_count(0)


async def test_filters_change_the_list_in_place(
    house: House, new_page: NewPage
) -> None:
    page = await signed_in(house, new_page)
    rows = page.locator(".sessions > li")
    await expect(rows).to_have_count(20)
    await page.get_by_role("link", name="Older").click()
    await expect(page.get_by_role("link", name="Newest")).to_be_visible()
    await page.goto(f"{house.stack.url}/")
    await page.evaluate("window.same = true")
    await page.get_by_text("Filters").click()
    await page.get_by_label("State").select_option("Ready")
    await page.get_by_label("Source").select_option("Phone")
    await expect(rows).to_have_count(8)
    assert page.url.endswith("/?source=phone&state=ready")
    await page.get_by_label("Who spoke").fill("zoë")
    await expect(rows).to_have_count(3)
    assert page.url.endswith("/?source=phone&state=ready&person=zo%C3%AB")
    await page.get_by_label("Search titles").fill("14")
    await expect(rows.locator(".title")).to_have_text(["Talk number 14"])
    assert await page.evaluate("window.same")  # never loaded anew
    await shoot(page, "dashboard-filters")
    await check_access(page)
    await page.go_back()
    await expect(rows).to_have_count(3)
    await expect(page.get_by_label("Who spoke")).to_have_value("zoë")
    await page.get_by_role("link", name="Clear").click()
    await expect(rows).to_have_count(20)


async def test_words_lead_to_their_line_by_the_keyboard(
    house: House, new_page: NewPage
) -> None:
    page = await signed_in(house, new_page)
    await page.get_by_label("Search titles").focus()
    await page.keyboard.type("lighthouse")
    await page.keyboard.press("Enter")
    hit = page.locator(".hits a")
    await expect(hit).to_have_count(1)
    await expect(hit.locator("mark")).to_have_text("lighthouse")
    await shoot(page, "dashboard-search")
    await check_access(page)
    for _ in range(20):  # from wherever the pictures have left the focus
        await page.keyboard.press("Tab")
        if await hit.evaluate("one => one === document.activeElement"):
            break
    await expect(hit).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/session/*#u-*")


async def test_it_works_without_scripts(house: House, new_page: NewPage) -> None:
    page = await signed_in(house, new_page, java_script_enabled=False)
    await page.get_by_text("Filters").click()
    await page.get_by_label("State").select_option("Ready")
    await page.get_by_label("Source").select_option("Phone")
    await page.get_by_role("button", name="Search").click()
    await expect(page.locator(".sessions > li")).to_have_count(8)


async def test_a_page_without_a_socket_asks_now_and_then(
    house: House, new_page: NewPage
) -> None:
    page = await new_page()
    await page.add_init_script(
        "window.WebSocket = class { constructor() {"
        " setTimeout(() => this.onclose?.({ code: 1006 })); } };"
    )
    await page.goto(f"{house.stack.url}/login")
    await page.get_by_label("Name").fill("ada")
    await page.get_by_label("Password").fill("secret words")
    await page.get_by_role("button", name="Sign in").click()
    talk = await house.begin("Behind a proxy", "Ada")
    card = page.locator(f'[data-session="{talk}"]')
    await expect(card).to_be_visible(timeout=15_000)
    await house.do(END, id=talk)
    await expect(card).to_have_count(0, timeout=15_000)


async def test_whoever_signs_out_elsewhere_sees_nothing_more(
    house: House, new_page: NewPage
) -> None:
    page = await signed_in(house, new_page)
    await expect(page.get_by_text("Nobody is talking just now")).to_be_visible()
    await house.do(SIGN_OUT)
    sign_in = page.get_by_role("link", name="Sign in to start a session")
    await expect(sign_in).to_be_visible(timeout=15_000)
