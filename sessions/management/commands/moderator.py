"""`manage.py moderator NAME [--password-from-stdin]`: somebody who may moderate."""

from __future__ import annotations

import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions import moderators

LEAST = 8


class Command(BaseCommand):
    help = "Make a user a moderator; the user too, where there is none of that name."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument(
            "--password-from-stdin",
            action="store_true",
            help="take the password from the first line of the standard input",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        password = ""
        if options["password_from_stdin"]:
            password = sys.stdin.readline().rstrip("\r\n")
            try:
                validate_password(password)
            except ValidationError as e:
                raise CommandError(" ".join(e.messages)) from e
            if len(password) < LEAST:
                raise CommandError(f"A password has at least {LEAST} characters.")
        done = moderators.appoint(options["name"], password=password)
        made = "is a new user and moderator" if done.is_new else "is a moderator now"
        self.stdout.write(f"{done.name} {made}.")
        if not done.has_password:
            self.stdout.write(
                "There is no password yet: say --password-from-stdin, or have them"
                " sign in another way."
            )
