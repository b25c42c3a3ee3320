"""The parts of the bot, each in whatever process has it: they say that they live, and
are missed where there are to be some."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from django.conf import settings

from sessions import pulses


class Part(StrEnum):
    """Its value is the name of its pulse."""

    BOT = "bot"
    """The rounds that every bot process makes."""
    DISCORD = "discord"
    PHONE = "phone"

    @property
    def loss(self) -> str:
        """What is missing without it."""
        return LOSSES[self]

    @property
    def is_wanted(self) -> bool:
        """Whether there is to be one: by the settings of this process, or because one
        has been heard of lately, with settings of its own."""
        return bool(WANTED[self]()) or pulses.age_s(self) is not None


LOSSES = {
    Part.BOT: "nothing ends idle sessions",
    Part.DISCORD: "nobody is heard on Discord",
    Part.PHONE: "no call is answered",
}
WANTED: dict[Part, Callable[[], object]] = {
    Part.BOT: lambda: True,
    Part.DISCORD: lambda: settings.DISCORD_TOKEN,
    Part.PHONE: lambda: settings.AUDIOSOCKET_PORT,
}
