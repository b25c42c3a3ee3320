"""`manage.py createtoken USER [--label TEXT]`: an API token, printed once."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions import access
from sessions.models import ApiToken


class Command(BaseCommand):
    help = "Make an API token for a user and print it; only its hash is stored."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user")
        parser.add_argument("--label", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model().objects.filter(username=options["user"])
        if (user := users.first()) is None:
            raise CommandError(f"There is no user {options['user']!r}.")
        token = access.new_token()
        ApiToken.objects.create(
            user=user, label=options["label"][:80], token_sha256=access.digest(token)
        )
        self.stdout.write(token)
