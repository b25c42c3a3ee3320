"""What the bot may do in a guild, and what it lacks for a wish: asked before anything
is done, so that nothing half-done is left."""

from __future__ import annotations

import discord

from sessions.errors import VoiceError

ROOM = ("view_channel", "manage_channels", "connect", "speak", "move_members")
"""To make a private room in a category or at the top, and to be in it: what an
overwrite grants, its maker must have."""
HERE = ("view_channel", "connect")
SPEAK = ("speak",)
NICKNAME = ("change_nickname",)


class MissingPermissionsError(VoiceError):
    """`missing`: names of `discord.Permissions`."""

    def __init__(self, missing: list[str]) -> None:
        message = f"The bot lacks permissions: {', '.join(missing)}."
        super().__init__("missing_permissions", message, status=403)
        self.missing = missing


def lacking(permissions: discord.Permissions, *needed: str) -> list[str]:
    if permissions.administrator:
        return []
    return [name for name in needed if not getattr(permissions, name)]


def require(permissions: discord.Permissions, *needed: str) -> None:
    """Raises MissingPermissionsError."""
    if missing := lacking(permissions, *needed):
        raise MissingPermissionsError(missing)
