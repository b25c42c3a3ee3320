"""Calls in the admin, by telephone and on Discord, to read; what is said in them is
their session's. And who wants to be in no recording, or gone from those there are."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from bot.discord import optouts
from bot.discord.guild import deeds
from bot.models import Call, DiscordCall, Erasure, OptOut
from sessions.admin import PartOfSession, ReadOnly, as_uuid, asker, shown


@admin.register(Call)
class CallAdmin(PartOfSession):
    list_display = (
        "uuid",
        "caller",
        "callee",
        "of_session",
        "created_at",
        "lasted",
        "end_reason",
    )
    list_filter = (("created_at", admin.DateFieldListFilter),)
    list_select_related = ("session",)
    search_fields = ("caller", "callee")
    search_help_text = "A part of a number, or the id of a call or a session."
    ordering = ("-pk",)
    sortable_by = ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if found := as_uuid(search_term):
            return queryset.filter(Q(uuid=found) | Q(session__public_id=found)), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="length")
    def lasted(self, call: Call) -> str:
        return shown.between(call.created_at, call.ended_at)


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
        "of_session",
        "room",
        "nickname",
        "status_on",
        "attempts",
        "error",
        "created_at",
        "undone_at",
    )
    list_filter = (LeftBehind, ("created_at", admin.DateFieldListFilter))
    list_select_related = ("session",)
    search_fields = ("guild_id",)
    search_help_text = "The id of a guild, a user, a room or a session."
    ordering = ("-pk",)
    sortable_by = ()
    actions = ("undo_now",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        wanted = search_term.strip()
        if found := as_uuid(wanted):
            return queryset.filter(session__public_id=found), False
        if not wanted:
            return queryset, False
        ids = Q(guild_id=wanted) | Q(user_id=wanted) | Q(room_id=wanted)
        return queryset.filter(ids), False

    @admin.display(description="room")
    def room(self, call: DiscordCall) -> str:
        """What is left of it: its id, or the name of one that may have been made."""
        return call.room_id or call.room_name

    @admin.action(description="Try to undo now", permissions=["moderate"])
    def undo_now(self, request: HttpRequest, queryset: QuerySet[DiscordCall]) -> None:
        """The bot does, at its next sweep."""
        rows = list(queryset)
        due = deeds.due_now([row.pk for row in rows])
        if due:
            LogEntry.objects.log_actions(
                asker(request), rows, CHANGE, "Try to undo now."
            )
        self.message_user(request, f"{due} will be tried by the bot in seconds.")
        if skipped := len(rows) - due:
            note = f"{skipped} still run, or are undone."
            self.message_user(request, note, messages.WARNING)


@admin.register(OptOut)
class OptOutAdmin(ReadOnly):
    """Deleted here, somebody is recorded again: only when they ask for it."""

    list_display = ("user_id", "created_at")
    search_fields = ("=user_id",)

    def delete_model(self, request: HttpRequest, obj: OptOut) -> None:
        optouts.opt_in(int(obj.user_id))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[OptOut]) -> None:
        for row in queryset:
            self.delete_model(request, row)


@admin.register(Erasure)
class ErasureAdmin(ReadOnly):
    """Wishes that are not wholly fulfilled yet. Nobody takes them back here."""

    list_display = ("user_id", "asked_at")
    search_fields = ("=user_id",)

    def has_delete_permission(
        self, request: HttpRequest, obj: Erasure | None = None
    ) -> bool:
        return False
