"""`manage.py runall`: everything of one installation, under one supervisor."""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from voiceproject import supervision
from voiceproject.supervision import Program

ADMIN = "admin"


class Command(BaseCommand):
    help = "Prepare the database, then run web, bot and workers until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--demo", action="store_true", help="with speakers who talk into it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(settings.DATA_DIR) / "run"
        folder.mkdir(exist_ok=True)
        self._claim(folder / "lock")
        self._check_port()
        call_command("migrate", verbosity=0, interactive=False)
        self._first_administrator()
        self._become_supervisor(folder, demo=options["demo"])

    def _claim(self, path: Path) -> None:
        """One supervisor per data folder; the lock lives as long as its process."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            message = f"Parley already runs with the data folder {settings.DATA_DIR}."
            raise CommandError(message) from e
        os.set_inheritable(handle, True)  # noqa: FBT003 (the standard library's)

    def _check_port(self) -> None:
        from voiceproject import web

        try:
            web.check_free(settings.WEB_HOST, settings.WEB_PORT)
        except web.PortTakenError as e:
            raise CommandError(f"{e}. Choose another with WEB_PORT=…") from e

    def _first_administrator(self) -> None:
        users = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            return
        password = secrets.token_urlsafe(12)
        users.create_superuser(ADMIN, password=password)
        self.stdout.write(
            f"\n  An administrator was made: {ADMIN}, password {password}\n"
            "  (said only this once; `manage.py changepassword admin` sets another)\n"
        )

    def _become_supervisor(self, folder: Path, *, demo: bool) -> None:
        base = Path(settings.BASE_DIR)
        programs = supervision.read_procfile(base / "Procfile")
        if demo:
            programs = _with_members(programs, place=folder / "discord.json")
            programs.append(Program("speakers", "python manage.py speakers"))
        programs.append(Program("announce", "python manage.py announce"))
        path = folder / "supervisord.conf"
        text = supervision.configuration(
            programs,
            pidfile=folder / "supervisord.pid",
            pid=os.getpid(),  # exec keeps it
            root=os.geteuid() == 0,
            drain_s=settings.DRAIN_S,
        )
        path.write_text(text, encoding="utf-8")
        self.stdout.flush()
        os.chdir(base)
        words = [sys.executable, "-m", "voiceproject.supervisor", "-n", "-c", str(path)]
        os.execv(words[0], [*words, *(["-u", "root"] if os.geteuid() == 0 else [])])  # noqa: S606


def _with_members(programs: list[Program], *, place: Path) -> list[Program]:
    """And the test Discord with scripted members, which the bot takes for the real one
    where it has no token for that."""
    if settings.DISCORD_TOKEN:
        return programs
    place.unlink(missing_ok=True)
    where = shlex.join([f"FAKECORD_PLACE={place}", "PYTHONPATH=tests"])
    bot = (
        f"env {where} DISCORD_TOKEN=fakecord.token"
        " DISCORD_CONNECTOR=fakecord.connector.from_file"
    )
    members = shlex.join(["python", "-m", "fakecord.demo", str(place)])
    return [
        Program(one.name, f"{bot} {one.command}") if one.name == "bot" else one
        for one in programs
    ] + [Program("members", f"env PYTHONPATH=tests {members}")]
