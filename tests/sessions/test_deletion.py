"""Deletion leaves no words behind, on whatever disk they lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings
from scene import a_session

from bot.discord.text import lines
from sessions import deletion
from sessions.deletion import NotForgottenError
from sessions.models import State, VoiceSession

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.LOGS_DIR = tmp_path
    settings.STORAGE_DIR = tmp_path / "storage"
    (tmp_path / "lines").mkdir()
    return tmp_path / "lines"


def lines_of(session: VoiceSession, folder: Path) -> Path:
    path = lines.path_of(folder, session.public_id)
    path.write_text('{"seq": 1, "text": "a secret"}\n')
    return path


def test_the_lines_of_a_deleted_session_go_and_those_of_others_stay(
    folder: Path,
) -> None:
    session, other = a_session(State.READY), a_session(State.READY)
    gone, stays = lines_of(session, folder), lines_of(other, folder)
    deletion.delete(session)
    assert not gone.exists()
    assert stays.exists()


def test_what_an_erasure_left_half_done_goes_too(folder: Path) -> None:
    session = a_session(State.READY)
    draft = lines_of(session, folder).with_suffix(lines.DRAFT)
    draft.write_text("half of it")
    deletion.delete(session)
    assert not draft.exists()


def test_a_session_without_lines_is_deleted_all_the_same(folder: Path) -> None:
    deletion.delete(a_session(State.READY))
    assert not VoiceSession.objects.exists()


def a_disk_that_refuses(session: VoiceSession, folder: Path) -> None:
    """No file can be deleted at that name: a folder is there, with something in it."""
    path = lines.path_of(folder, session.public_id)
    path.mkdir()
    (path / "x").touch()


def test_a_session_whose_lines_stay_is_not_deleted(folder: Path) -> None:
    session = a_session(State.READY)
    a_disk_that_refuses(session, folder)
    with pytest.raises(NotForgottenError):
        deletion.delete(session)
    assert VoiceSession.objects.exists()


def test_the_administrator_is_told_that_it_stays(
    admin_client: Client, folder: Path
) -> None:
    session = a_session(State.READY)
    a_disk_that_refuses(session, folder)
    url = reverse("admin:voice_sessions_voicesession_delete", args=[session.pk])
    page = admin_client.post(url, {"post": "yes"}, follow=True)
    assert "cannot be deleted" in page.content.decode()
    assert VoiceSession.objects.exists()
