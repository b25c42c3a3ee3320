"""`manage.py runbot`: the bot process."""

from __future__ import annotations

import asyncio
from typing import Any

from django.core.management.base import BaseCommand

from bot import process


class Command(BaseCommand):
    help = "Run the bot: house-keeping of all sources, Discord and the phone."

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(process.run())
