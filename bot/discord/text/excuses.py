"""Why something was not done, in plain words: an error as a notice."""

from __future__ import annotations

from bot.discord.faults import DiscordError
from bot.discord.guild.rights import MissingPermissionsError
from bot.discord.linking.link import JOIN_WITHIN_S
from bot.discord.notices import Notice, text
from sessions.errors import VoiceError

OTHERS = {
    "forbidden": Notice.ERROR_DISCORD_FAILED,
    "channel_gone": Notice.ERROR_NOT_IN_VOICE,
    "nothing": Notice.RECORD_NOTHING,
    "join_timeout": Notice.ROOM_EXPIRED,
    "session_ended": Notice.ERROR_ENDED,
}
"""Codes whose notice has another name."""


def told(error: VoiceError | None, *, locale: str) -> tuple[Notice, dict[str, object]]:
    """The notice, and what to fill it with; but for {channel}, where that is named."""
    if error is None:
        return Notice.ERROR_UNKNOWN, {"code": "bot"}
    values: dict[str, object] = {"seconds": round(JOIN_WITHIN_S), "code": error.code}
    if isinstance(error, MissingPermissionsError):
        values["permissions"] = ", ".join(
            named(name, locale=locale) for name in error.missing
        )
    elif isinstance(error, DiscordError):
        values["seconds"] = max(round(error.retry_s), 1)
    return _notice(error.code), values


def named(permission: str, *, locale: str) -> str:
    """A permission, as Discord calls it in this language."""
    try:
        return text(Notice(f"perm.{permission}"), locale)
    except ValueError:
        return permission.replace("_", " ").title()


def _notice(code: str) -> Notice:
    if code in OTHERS:
        return OTHERS[code]
    try:
        return Notice(f"error.{code}")
    except ValueError:
        return Notice.ERROR_UNKNOWN
