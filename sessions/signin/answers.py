"""What Discord answers about somebody who signs in: parsed, and nothing believed."""

from __future__ import annotations

from typing import Any

ADMINISTRATOR = 0x8
MANAGE_GUILD = 0x20
SNOWFLAKE_DIGITS = 20
NAME_MAX = 80


class AnswerError(ValueError):
    """It is not what Discord's documents say."""


def profile(answer: Any) -> dict[str, str]:
    """`GET /users/@me`: the id and the names; nothing else is kept."""
    if not isinstance(answer, dict):
        raise AnswerError("no profile")
    name = answer.get("username")
    if not isinstance(name, str) or not name:
        raise AnswerError("no username")
    found = {"id": _snowflake(answer.get("id")), "username": name[:NAME_MAX]}
    shown = answer.get("global_name")
    return found | ({"global_name": shown[:NAME_MAX]} if isinstance(shown, str) else {})


def managed(answer: Any) -> list[str]:
    """`GET /users/@me/guilds`: the ids of those that they manage."""
    if not isinstance(answer, list):
        raise AnswerError("no list of guilds")
    return [_snowflake(guild.get("id")) for guild in map(_guild, answer) if _has(guild)]


def _guild(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise AnswerError("no guild")
    return answer


def _has(guild: dict[str, Any]) -> bool:
    """Whether they are its owner, its administrator, or may manage it."""
    try:
        bits = int(guild.get("permissions") or 0)
    except (TypeError, ValueError) as e:
        raise AnswerError("no permissions") from e
    return guild.get("owner") is True or bool(bits & (ADMINISTRATOR | MANAGE_GUILD))


def _snowflake(answer: Any) -> str:
    text = answer if isinstance(answer, str) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= SNOWFLAKE_DIGITS):
        raise AnswerError("no id")
    return text
