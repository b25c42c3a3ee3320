"""The admin in a real browser: the main stories, wide and narrow, light and dark."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from browser.access import check_access
from browser.conftest import OUTPUT, NewPage
from browser.test_screens import SCHEMES
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.async_api import Page, ViewportSize, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer
from scene import a_session

from sessions import jobs, moderators
from sessions.models import Job, Participant, State
from transcripts.models import Utterance

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD = "a long and quiet evening"
SIZES: dict[str, ViewportSize] = {
    "wide": {"width": 1360, "height": 820},
    "narrow": {"width": 390, "height": 844},
}


@pytest.fixture
def house(
    live_server: LiveServer,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Three sessions, one of them failed, an orphan, and a moderator."""
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    monkeypatch.setattr(jobs, "ring", lambda _: None)
    moderators.appoint("mo", password=PASSWORD)
    now = timezone.now()
    talk = a_session(State.READY, title="Monday planning", created_at=now)
    a_session(State.FAILED, title="The disk was full", created_at=now)
    old = now - timedelta(hours=3)
    a_session(title="Forsaken", heartbeat_at=old, created_at=old)
    ann = Participant.objects.create(session=talk, key="a", name="Ann")
    for at, text in enumerate(("good morning", "shall we start with the plan")):
        Utterance.objects.create(
            session=talk, participant=ann, start=at * 96_000, end=at * 96_000 + 48_000,
            audio_start=0, state="done", text=text, created_at=now, finished_at=now,
        )  # fmt: skip
    return live_server.url


@pytest.fixture
def job(house: str) -> int:
    """One that is half through, with something that could not be done."""
    ids = list(range(1, 5))
    made = jobs.ask("remix", ids, by=User.objects.get(username="mo").pk)
    Job.objects.filter(pk=made.pk).update(
        state="running", next=2, done=1, failures=[[1, "Nothing was recorded."]],
        lease_until=timezone.now() + timedelta(hours=1),
    )  # fmt: skip
    return made.pk


async def enter(house: str, new_page: NewPage, **options: Any) -> Page:
    page = await new_page(**options)
    await page.goto(f"{house}/admin/")
    await page.get_by_label("Username").fill("mo")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", name="Site admin")).to_be_visible()
    return page


async def shoot(page: Page, name: str) -> None:
    """Wide and narrow, light and dark: nothing sticks out, nobody is shut out."""
    OUTPUT.mkdir(exist_ok=True)
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        await page.reload()  # unfold looks at it once
        for size, viewport in SIZES.items():
            await page.set_viewport_size(viewport)
            path = OUTPUT / f"admin-{name}-{size}-{scheme}.png"
            await page.screenshot(path=path, animations="disabled")
            wide = "document.documentElement.scrollWidth - innerWidth"
            assert await page.evaluate(wide) <= 0, f"{name} scrolls sideways"
        await check_access(page)


async def test_the_lists_are_read_by_everybody(house: str, new_page: NewPage) -> None:
    page = await enter(house, new_page)
    await shoot(page, "index")
    await page.goto(f"{house}/admin/voice_sessions/voicesession/")
    await expect(page.get_by_role("link", name="Monday planning")).to_be_visible()
    await shoot(page, "sessions")
    await page.goto(f"{house}/admin/transcripts/utterance/?q=plan")
    await expect(page.get_by_text("shall we start with the plan")).to_be_visible()
    await expect(page.get_by_text("good morning")).to_have_count(0)
    await shoot(page, "lines")
    await page.goto(f"{house}/admin/voice_sessions/voicesession/")
    await page.set_viewport_size(SIZES["wide"])
    await page.get_by_role("link", name="Monday planning").click()
    await expect(page.get_by_role("link", name="utterances: 2")).to_be_visible()
    await shoot(page, "session")


async def test_a_session_is_acted_upon(house: str, new_page: NewPage) -> None:
    page = await enter(house, new_page, viewport=SIZES["wide"])
    await page.goto(f"{house}/admin/voice_sessions/voicesession/")
    row = page.get_by_role("row").filter(has_text="The disk was full")
    await row.get_by_label("Select record").check()
    await page.get_by_label("Select action to run").select_option("do_finish")
    await page.get_by_role("button", name="Run").click()
    await expect(page.get_by_text("The disk was full")).to_be_visible()
    await shoot(page, "act")
    await page.get_by_role("button", name="Finish again").click()
    await expect(page.get_by_role("progressbar")).to_be_visible()
    await expect(page.get_by_text("Waits for a worker.")).to_be_visible()


async def test_a_bar_moves_by_itself(house: str, new_page: NewPage, job: int) -> None:
    page = await enter(house, new_page)
    await page.goto(f"{house}/admin/voice_sessions/job/{job}/")
    await expect(page.get_by_text("50 %").first).to_be_visible()
    await shoot(page, "job")
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.get_by_text("Cancelled.").first).to_be_visible()


async def test_how_it_is_and_what_was_left(house: str, new_page: NewPage) -> None:
    page = await enter(house, new_page)
    await page.goto(f"{house}/admin/operations/")
    await expect(page.get_by_role("img", name="Lines written")).to_be_visible()
    await shoot(page, "operations")
    await page.goto(f"{house}/admin/orphans/")
    await page.get_by_role("button", name="Look").click()
    await expect(page.get_by_role("progressbar")).to_be_visible()
    await worked()
    await expect(page.get_by_text("All done")).to_be_visible()
    await page.goto(f"{house}/admin/orphans/")
    await expect(page.get_by_text("Forsaken: last sign of life")).to_be_visible()
    await shoot(page, "orphans")


async def worked() -> None:
    """A worker comes by."""
    from asgiref.sync import sync_to_async

    def work() -> None:
        from django.db import connection

        for job in Job.objects.filter(state="waiting"):
            jobs.work(job.pk)
        connection.close()

    await sync_to_async(work, thread_sensitive=False)()
