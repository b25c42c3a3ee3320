"""Every page there is, on a phone, by light and by dark: nothing sticks out, nobody is
shut out, nothing complains. A page that is not known here fails by its address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browser.access import barriers
from browser.conftest import NewPage
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone
from everybody import PARAMETER, World, pages
from playwright.async_api import Page
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from sessions import shares
from sessions.models import Erasure, State, VoiceSession
from transcripts import reporting

pytestmark = pytest.mark.asyncio(loop_scope="session")
NARROW = {"width": 390, "height": 844}
ELSEWHERE = {
    "/health", "/health/live", "/health/ready", "/metrics",  # for machines
    "/live", "/storage/{token}", "/me/data.zip", "/receipt/{public_id}.txt",
    "/shared/{token}/sound", "/session/new", "/me/erase", "/logout",  # no pages
    "/login", "/login/discord", "/login/discord/callback", "/login/inactive",
    "/login/cancelled", "/signup",  # test_signin.py, by those who may see them
}  # fmt: skip
OURS = ("index", "orphans", "operations", "erase_person", "password_change")
"""Of the admin, besides what it has of each table."""


@dataclass(frozen=True, slots=True)
class House:
    url: str
    paths: tuple[str, ...]
    cookie: str


@pytest.fixture
def house(live_server: LiveServer, settings: Settings, tmp_path: Path) -> House:
    settings.DATA_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    world = World()
    session = world.session
    over = {"state": State.READY, "ended_at": timezone.now(), "title": "A plan"}
    VoiceSession.objects.filter(pk=session.pk).update(**over)
    owner = world.people["owner"]
    assert owner is not None
    known = world.parameters | {
        "token": shares.token_of(shares.share(session, days=1, by=owner)),
        "receipt": str(Erasure.objects.create(road="admin").public_id),
        "unsubscribe": reporting.token_for(session.pk, owner.pk),
    }
    found = [_filled(path, known) for path in sorted(pages() - ELSEWHERE)]
    found += [reverse(f"admin:{name}") for name in OURS]
    for model in admin.site._registry:
        place = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found.append(reverse(f"{place}_changelist"))
        if (row := model._default_manager.first()) is not None:
            found.append(reverse(f"{place}_change", args=[row.pk]))
    cookie = world.client_of("admin").cookies["sessionid"].value
    return House(live_server.url, tuple(found), cookie)


def _filled(path: str, known: dict[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        first = path.split("/")[1]  # what a token or an id opens
        return known.get(first, known[found[1] or found[2]])

    return PARAMETER.sub(value, path)


async def test_everybody_can_use_every_page(house: House, new_page: NewPage) -> None:
    wrong: list[str] = []
    for scheme in ("light", "dark"):
        page = await new_page(viewport=NARROW, color_scheme=scheme, bypass_csp=True)
        cookie: Any = {"name": "sessionid", "value": house.cookie, "url": house.url}
        await page.context.add_cookies([cookie])
        for path in house.paths:
            found = await looked_at(page, f"{house.url}{path}")
            wrong += [f"{path}, {scheme}: {what}" for what in found]
    assert len(house.paths) > 30
    assert not wrong, "\n".join(wrong)


async def looked_at(page: Page, url: str) -> list[str]:
    """What is wrong with a page."""
    answer = await page.goto(url)
    assert answer is not None
    if answer.status != 200 or "text/html" not in answer.headers["content-type"]:
        return [f"it answers {answer.status}"]
    wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [*([f"{wide} px too wide"] * (wide > 0)), *await barriers(page)]
