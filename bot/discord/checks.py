"""System checks of Discord's settings."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

NEEDED = {
    "discord": "discord.py",
    "davey": "davey, with which Discord encrypts its calls",
    "nacl": "PyNaCl, with which Discord encrypts its connections",
}
"""Modules, and what their absence is called."""


@register
def check_packages(**_: Any) -> list[CheckMessage]:
    """Whoever has a token can also log in, and hear."""
    if not settings.DISCORD_TOKEN:
        return []
    hint = "Install what requirements.txt says (make run does), or unset DISCORD_TOKEN."
    return [
        Error(f"DISCORD_TOKEN is set, but {name} is missing.", hint=hint, id="bot.E020")
        for module, name in NEEDED.items()
        if find_spec(module) is None
    ]


@register
def check_shards(**_: Any) -> list[CheckMessage]:
    """A process that serves some shards knows of how many."""
    ids, count = settings.SHARD_IDS, settings.SHARD_COUNT
    if not ids:
        return []
    if not count:
        message = "SHARD_IDS says which shards to serve, but not of how many."
        hint = "Set SHARD_COUNT, the same in every process; or unset SHARD_IDS."
        return [Error(message, hint=hint, id="bot.E021")]
    wrong = [str(number) for number in ids if not 0 <= number < count]
    if not wrong:
        return []
    message = f"SHARD_IDS: there is no shard {', '.join(wrong)} of {count}."
    hint = "They are counted from 0, and are below SHARD_COUNT."
    return [Error(message, hint=hint, id="bot.E022")]


@register
def check_connector(**_: Any) -> list[CheckMessage]:
    """Another road to Discord leads somewhere."""
    path = settings.DISCORD_CONNECTOR
    if not path:
        return []
    try:
        found = import_string(path)
    except ImportError as e:
        message = f"DISCORD_CONNECTOR={path!r} cannot be imported."
        hint = f"Unset it: only the test Discord needs it. {e}"
        return [Error(message, hint=hint, id="bot.E023")]
    if callable(found):
        return []
    message = f"DISCORD_CONNECTOR={path!r} is no function."
    hint = "It names a function that makes an aiohttp connector; unset it for Discord."
    return [Error(message, hint=hint, id="bot.E023")]
