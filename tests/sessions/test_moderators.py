"""Moderators: a group with just its rights, and a command that makes one."""

from __future__ import annotations

import importlib
from io import StringIO
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from sessions import moderators
from sessions.models import VoiceSession

migration = importlib.import_module("sessions.migrations.0008_moderators")


def migrate_again() -> None:
    migration.make(apps, SimpleNamespace(connection=connection))


def rights() -> set[str]:
    group = Group.objects.get(name=moderators.GROUP)
    rows = group.permissions.select_related("content_type")
    return {f"{one.content_type.app_label}.{one.codename}" for one in rows}


@pytest.mark.django_db
def test_the_group_has_the_rights_it_needs_and_no_other() -> None:
    migrate_again()
    assert rights() == set(moderators.RIGHTS)
    changing = [one for one in rights() if ".change_" in one or ".add_" in one]
    assert changing == ["voice_sessions.add_erasure"]
    deleting = [one for one in rights() if ".delete_" in one]
    assert deleting == ["voice_sessions.delete_voicesession"]


def test_the_migration_makes_what_is_missing_and_nothing_twice(
    either_database: None,
) -> None:
    Group.objects.filter(name=moderators.GROUP).delete()
    Permission.objects.filter(codename="moderate").delete()
    migrate_again()
    before = rights()
    assert "voice_sessions.moderate" in before
    migrate_again()
    assert rights() == before
    assert Permission.objects.filter(codename="moderate").count() == 1


@pytest.mark.django_db
def test_a_new_moderator_signs_in_with_the_password_that_was_piped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("a long and quiet evening\n"))
    said = StringIO()
    call_command("moderator", "mo", "--password-from-stdin", stdout=said)
    assert said.getvalue() == "mo is a new user and moderator.\n"
    client = Client()
    form = {"login": "mo", "password": "a long and quiet evening"}
    assert client.post("/login", form).status_code == 302
    assert client.get("/admin/").status_code == 200
    user = User.objects.get(username="mo")
    assert not user.is_superuser
    assert user.has_perm("voice_sessions.moderate")


@pytest.mark.django_db
def test_somebody_is_promoted_and_keeps_their_password() -> None:
    User.objects.create_user("ada", password="hers alone, and long")
    call_command("moderator", "ada", stdout=StringIO())
    ada = User.objects.get(username="ada")
    assert ada.is_staff
    assert ada.check_password("hers alone, and long")
    assert moderators.appoint("ada").is_new is False


@pytest.mark.django_db
@pytest.mark.parametrize("password", ["", "12345"])
def test_a_bad_password_makes_nobody(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(f"{password}\n"))
    with pytest.raises(CommandError):
        call_command("moderator", "mo", "--password-from-stdin")
    assert not User.objects.exists()


@pytest.mark.django_db
def test_moderating_is_no_right_of_whoever_is_only_staff() -> None:
    user = User.objects.create_user("clerk", is_staff=True)
    client = Client()
    client.force_login(user)
    assert client.get("/admin/voice_sessions/voicesession/").status_code == 403
    assert not VoiceSession.objects.exists()
