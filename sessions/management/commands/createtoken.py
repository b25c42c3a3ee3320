"""`manage.py createtoken USER [--label TEXT] [--scope SCOPE]... [--days N]`: an API
token, printed once."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions import tokens
from sessions.errors import VoiceError
from sessions.models import Scope


class Command(BaseCommand):
    help = "Make an API token for a user and print it; only its hash is stored."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user")
        parser.add_argument("--label", default="")
        parser.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            help="What it is good for; may be given more than once. By default: all.",
        )
        parser.add_argument(
            "--days",
            type=int,
            help="How long it is good. By default: until it is deleted.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model().objects.filter(username=options["user"])
        if (user := users.first()) is None:
            raise CommandError(f"There is no user {options['user']!r}.")
        try:
            token = tokens.make(
                user,
                label=options["label"],
                scopes=options["scope"] or Scope.values,
                days=options["days"],
            )
        except VoiceError as e:
            raise CommandError(e.message) from e
        self.stdout.write(token)
