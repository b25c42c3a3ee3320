"""The commands a bot registers: what Discord takes of them, and who may use which.

The limits are those of its API documentation on application commands.
"""

from __future__ import annotations

import re
from typing import Any

import discord

from fakecord.entities import Json
from fakecord.failures import Refused
from fakecord.forms import invalid
from fakecord.permissions import allows

NAME = re.compile(r"[-_'\w]{1,32}")
DESCRIPTION_AT_MOST = 100
COMMANDS_AT_MOST, OPTIONS_AT_MOST = 100, 25
SLASH = 1
"""The type of a slash command; others are menus, whose names may hold anything."""
LOCALES = frozenset(locale.value for locale in discord.Locale)


def check_commands(given: list[Json]) -> None:
    """Raises Refused where Discord would not have one of them."""
    if len(given) > COMMANDS_AT_MOST:
        raise _invalid("commands", f"more than {COMMANDS_AT_MOST}")
    names = [(one.get("type", SLASH), one["name"]) for one in given]
    if len(set(names)) < len(names):
        raise _invalid("name", "two of one name")
    for one in given:
        if one.get("type", SLASH) == SLASH:
            _check(one)


def may_use(command: Json, permissions: int) -> bool:
    """Whether Discord shows the command to who has these permissions there."""
    needed = command.get("default_member_permissions")
    return needed is None or (int(needed) != 0 and allows(permissions, int(needed)))


def option(name: str, value: Any) -> Json:
    """What somebody has typed for one option."""
    for kind, type_ in ((bool, 5), (int, 4), (float, 10)):
        if isinstance(value, kind):
            return {"name": name, "type": type_, "value": value}
    return {"name": name, "type": 3, "value": str(value)}


def _check(one: Json) -> None:
    """A command, or one of its options or sub-commands."""
    for name in (one["name"], *_localized(one, "name_localizations")):
        if not NAME.fullmatch(name) or name != name.lower():
            raise _invalid("name", f"{name!r} is no name of a command")
    described = (one["description"], *_localized(one, "description_localizations"))
    for words in described:
        if not 1 <= len(words) <= DESCRIPTION_AT_MOST:
            raise _invalid("description", f"1 to {DESCRIPTION_AT_MOST} characters")
    options = one.get("options") or []
    if len(options) > OPTIONS_AT_MOST:
        raise _invalid("options", f"more than {OPTIONS_AT_MOST}")
    required = [bool(option.get("required")) for option in options]
    if required != sorted(required, reverse=True):
        raise _invalid("options", "the required ones come first")
    for inner in options:
        _check(inner)


def _localized(one: Json, key: str) -> list[str]:
    given = one.get(key) or {}
    for locale in given:
        if locale not in LOCALES:
            raise _invalid(key, f"{locale!r} is none of Discord's languages")
    return list(given.values())


def _invalid(field: str, text: str) -> Refused:
    return invalid(field, "APPLICATION_COMMAND_INVALID", text)
