"""Accounts, groups and the log of admin actions, in the clothes of the rest."""

from __future__ import annotations

from typing import Any

from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangosGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangosUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from sessions.admin import shown
from sessions.admin.reading import PartOfSession

admin.site.unregister([User, Group])
# allauth's own: what they hold comes from the settings here, or is not used.
admin.site.unregister([EmailAddress, SocialAccount, SocialApp, SocialToken])


@admin.register(User)
class UserAdmin(DjangosUserAdmin, ModelAdmin):
    """Django's fields, unfold's looks."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    filter_horizontal = ()  # Django's two boxes and their script shut readers out


@admin.register(Group)
class GroupAdmin(DjangosGroupAdmin, ModelAdmin):
    """As above."""

    filter_horizontal = ()


@admin.register(SocialAccount)
class SocialAccountAdmin(PartOfSession):
    """Whose Discord user is whose account here. Unlinked by its owner alone."""

    list_display = ("user", "provider", "uid", "last_login", "date_joined")
    list_select_related = ("user",)
    search_fields = ("uid", "user__username")
    ordering = ("-pk",)
    fields = list_display


@admin.register(LogEntry)
class LogEntryAdmin(PartOfSession):
    """What was done in the admin, by whom. Nobody strikes anything out of it."""

    list_display = ("action_time", "user", "told", "on", "what")
    list_filter = ("action_flag", ("action_time", admin.DateFieldListFilter))
    list_select_related = ("user", "content_type")
    ordering = ("-pk",)
    sortable_by = ()
    fields = ("action_time", "user", "on", "what", "told")
    readonly_fields = ("on", "what", "told")

    def has_view_permission(
        self, request: HttpRequest, obj: object | None = None
    ) -> bool:
        return request.user.has_perm("admin.view_logentry")

    @admin.display(description="what was done")
    def told(self, entry: LogEntry) -> str:
        return entry.get_change_message() or entry.get_action_flag_display()

    @admin.display(description="kind")
    def on(self, entry: Any) -> str:
        return str(entry.content_type or shown.NOTHING)

    @admin.display(description="on")
    def what(self, entry: LogEntry) -> str:
        return shown.short(entry.object_repr)
