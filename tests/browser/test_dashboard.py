"""The dashboard in a browser: cards come and go by themselves, the list follows its
filters, and everybody can use it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from browser.conftest import NewPage
from browser.test_screens import shoot
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


async def check_access(page: Page) -> None:
    """What axe-core finds serious is not there."""
    found = await Axe().run(page)
    serious = [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found.response["violations"]
        if one["impact"] in {"serious", "critical"}
    ]
    assert serious == []


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
