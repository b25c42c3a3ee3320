"""How long a Discord call is kept, in the words of whoever reads it."""

from __future__ import annotations

from bot.discord.notices import Notice, text
from sessions import keeping
from sessions.models import Source, Tier


def retained(locale: str) -> str:
    """By the settings; what a single session was decided stands on its page."""
    sound = keeping.days_of(Tier.MASTER, Source.DISCORD)
    words = keeping.days_of(Tier.TRANSCRIPT, Source.DISCORD)
    if not (sound or words):
        return text(Notice.PANEL_KEPT_FOREVER, locale)
    told = {"sound": sound or "∞", "words": words or "∞"}
    return text(Notice.PANEL_KEPT_DAYS, locale, **told)
