"""What goes wrong with Discord, as what people are told of it."""

from __future__ import annotations

import aiohttp
import discord

from sessions.errors import VoiceError

TOO_MANY_CHANNELS = 30013


class DiscordError(VoiceError):
    """Discord refused, or did not answer; `code` as in the notices. `retry_s`: when it
    wants to be asked again."""

    def __init__(self, code: str, message: str, *, retry_s: float = 0.0) -> None:
        super().__init__(code, message, status=502)
        self.retry_s = retry_s


FAULTS = (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError)
"""Whatever an await of discord.py's may raise for the world's sake."""


def fault(error: BaseException) -> VoiceError:
    """One of FAULTS, as an error of ours."""
    match error:
        case VoiceError():
            return error
        case discord.RateLimited(retry_after=retry_s):
            return DiscordError("discord_busy", "Too many at once.", retry_s=retry_s)
        case discord.Forbidden():
            return DiscordError("forbidden", "Discord does not let the bot do that.")
        case discord.HTTPException(code=code) if code == TOO_MANY_CHANNELS:
            return DiscordError("too_many_channels", "The server has 500 channels.")
        case discord.HTTPException(status=429):
            return DiscordError("discord_busy", "Too many at once.", retry_s=60.0)
        case _:
            return DiscordError("discord_failed", "Discord did not do it.")


def is_final(error: BaseException) -> bool:
    """Whether Discord has said no, and will say so again: it need not be asked twice,
    and has done nothing."""
    if not isinstance(error, discord.HTTPException):
        return False
    return 400 <= error.status < 500 and error.status != 429


def said(error: BaseException) -> str:
    """What Discord answered, in a few words and without anybody's name."""
    status, code = getattr(error, "status", ""), getattr(error, "code", "")
    return " ".join(str(x) for x in (type(error).__name__, status, code) if x)
