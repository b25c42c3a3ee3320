"""A finished session on the real server: its own sound, its own search, its policy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser.conftest import NewPage
from playwright.async_api import Page, expect
from stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

DRIFTS = "() => [0, ...parley.transport.drifts()]"
FILL = """
from datetime import timedelta
import numpy as np
from django.contrib.auth.models import User
from django.utils import timezone
from sessions import finish, opening, participants, recordings, recovery, spool
from sessions.audio import journal
from sessions.audio.frames import Frame
from sessions.audio.journal import Head
from sessions.models import State, VoiceSession
from transcripts.utterances import Scripted, write

finish.ring = recordings.ring = lambda pk: None
owner = User.objects.create_user("ada", password="secret words")
talk = opening.open_browser_session(owner=owner, title="Planning").session
began = timezone.now() - timedelta(seconds=30)
VoiceSession.objects.filter(pk=talk.pk).update(started_at=began)
talk.refresh_from_db()
rng = np.random.default_rng(5)
for number, name in enumerate(("Ada", "Ben")):
    person = participants.join(talk.pk, key=name, name=name, connection=name)
    at = number * 2
    folder = spool.new(
        session=talk.public_id,
        participant=person.public_id,
        opened_at=recordings.moment(talk, at * 48_000),
    )
    whose = Head(str(talk.public_id), str(person.public_id), talk.pk, person.pk,
                 16_000, began.isoformat(), began.isoformat())
    data = [journal.head(whose)]
    pcm = (3000 * np.sin(np.arange(16_000 * 20) / (9 + number))).astype(np.int16)
    for n in range(1000):
        place = at * 48_000 + n * 960
        frame = Frame(pcm[n * 320 : (n + 1) * 320], 16_000, place / 48_000)
        data += [journal.sound(n, frame), journal.placed(n, place, dropped=0)]
    folder.journal.write_bytes(b"".join(data))
    for n in range(5):
        start = (at + 4 * n) * 48_000
        is_sought = (number, n) == (1, 3)
        text = "the lighthouse keeper" if is_sought else f"line {n} of {name}"
        write(Scripted(talk.pk, person.pk, start, start + 48_000, text))
VoiceSession.objects.filter(pk=talk.pk).update(
    state=State.FINISHING, ended_at=timezone.now()
)
(done,) = recovery.recover(talk.public_id)
assert done.done == "ready", done
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(programs=("web",)) as running:
        running.manage("shell", "-v", "0", "-c", FILL)
        yield running


async def sought(stack: Stack, page: Page) -> None:
    await page.goto(f"{stack.url}/search?q=lighthouse")
    await page.get_by_label("Name").fill("ada")
    await page.get_by_label("Password").fill("secret words")
    await page.get_by_role("button", name="Sign in").click()
    await page.locator(".hits a").click()


async def test_a_search_leads_to_the_line_and_its_sound(
    stack: Stack, new_page: NewPage
) -> None:
    page = await new_page(viewport={"width": 1280, "height": 860})
    await sought(stack, page)
    await expect(page.locator(".line.sought")).to_contain_text("lighthouse keeper")
    assert await page.evaluate("() => parley.transport.time") == 14_000
    await expect(page.locator(".lane")).to_have_count(2)
    await expect(page.locator(".lane canvas").first).to_be_visible()
    await page.get_by_role("button", name="Play", exact=True).click()
    await page.wait_for_function("() => parley.transport.time > 14500")
    assert await page.evaluate("() => parley.transport.isMixed") is False


@pytest.mark.alone
async def test_its_tracks_stay_together(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(viewport={"width": 1280, "height": 860})
    await sought(stack, page)
    await page.get_by_role("button", name="Hear only Ben").click()
    await page.get_by_role("button", name="Play", exact=True).click()
    await page.wait_for_function("() => parley.transport.drifts().length === 2")
    await page.wait_for_function("() => parley.transport.time > 15500")
    drifts = []
    for _ in range(15):  # one moment may be that of a machine that is busy
        await page.wait_for_timeout(100)
        drifts += [max(map(abs, await page.evaluate(DRIFTS)))]
    assert sorted(drifts)[11] < 50


async def test_its_exports_are_there(stack: Stack, new_page: NewPage) -> None:
    page = await new_page(viewport={"width": 1280, "height": 860})
    await sought(stack, page)
    await page.locator(".actions summary").click()
    links = page.locator(".exports a")
    await expect(links).to_have_count(12)
    for n in range(12):
        address = await links.nth(n).get_attribute("href")
        answer = await page.request.get(f"{stack.url}{address}")
        assert answer.status == 200, address
        assert len(await answer.body()) > 100, address
