"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class BotConfig(AppConfig):
    name = "bot"

    def ready(self) -> None:
        from bot import checks  # noqa: F401 (registers the system checks)
        from bot.discord import checks as discord_checks  # noqa: F401 (as above)
        from bot.phone import checks as phone_checks  # noqa: F401 (as above)
