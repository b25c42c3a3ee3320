"""Calls in the admin, by telephone and on Discord, to read; what is said in them is
their session's. And who wants to be in no recording, or gone from those there are."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from bot.discord import optouts
from bot.discord.guild import deeds
from bot.models import Call, DiscordCall, Erasure, OptOut
from sessions.admin import PartOfSession, ReadOnly


@admin.register(Call)
class CallAdmin(PartOfSession):
    list_display = (
        "uuid",
        "caller",
        "callee",
        "session",
        "created_at",
        "ended_at",
        "end_reason",
    )
    list_filter = ("end_reason", "language")
    list_select_related = ("session",)
    search_fields = ("uuid", "caller", "callee", "session__public_id")
    date_hierarchy = "created_at"


class LeftBehind(admin.SimpleListFilter):
    """What is still to be undone: orphans, for their calls are over."""

    title = "what it did"
    parameter_name = "undone"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "over, not undone"), ("yes", "undone")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[DiscordCall]
    ) -> QuerySet[DiscordCall]:
        match self.value():
            case "no":
                return queryset.filter(pk__in=deeds.left_behind().values("pk"))
            case "yes":
                return queryset.exclude(undone_at=None)
        return queryset


@admin.register(DiscordCall)
class DiscordCallAdmin(PartOfSession):
    list_display = (
        "id",
        "guild_id",
        "session",
        "room",
        "nickname",
        "status_on",
        "attempts",
        "error",
        "created_at",
        "undone_at",
    )
    list_filter = (LeftBehind,)
    list_select_related = ("session",)
    search_fields = ("guild_id", "user_id", "room_id", "session__public_id")
    date_hierarchy = "created_at"
    actions = ("undo_now",)

    @admin.display(description="room")
    def room(self, call: DiscordCall) -> str:
        """What is left of it: its id, or the name of one that may have been made."""
        return call.room_id or call.room_name

    @admin.action(description="Try to undo now", permissions=["view"])
    def undo_now(self, request: HttpRequest, queryset: QuerySet[DiscordCall]) -> None:
        """The bot does, at its next sweep."""
        ids = list(queryset.values_list("pk", flat=True))
        due = deeds.due_now(ids)
        self.message_user(request, f"{due} will be tried by the bot in seconds.")
        if skipped := len(ids) - due:
            note = f"{skipped} still run, or are undone."
            self.message_user(request, note, messages.WARNING)


@admin.register(OptOut)
class OptOutAdmin(ReadOnly):
    """Deleted here, somebody is recorded again: only when they ask for it."""

    list_display = ("user_id", "created_at")
    search_fields = ("user_id",)

    def delete_model(self, request: HttpRequest, obj: OptOut) -> None:
        optouts.opt_in(int(obj.user_id))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[OptOut]) -> None:
        for row in queryset:
            self.delete_model(request, row)


@admin.register(Erasure)
class ErasureAdmin(ReadOnly):
    """Wishes that are not wholly fulfilled yet. Nobody takes them back here."""

    list_display = ("user_id", "asked_at")
    search_fields = ("user_id",)

    def has_delete_permission(
        self, request: HttpRequest, obj: Erasure | None = None
    ) -> bool:
        return False
