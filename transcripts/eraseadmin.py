"""The admin's page "Erase a person": what would go in numbers, then the wish; and the
receipts, to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from unfold.widgets import INPUT_CLASSES, SELECT_CLASSES

from sessions import names
from sessions.admin import ReadOnly
from sessions.errors import VoiceError
from sessions.models import Erasure
from transcripts import forgetting
from transcripts.forgetting import NobodyError, Subject

ASK = "voice_sessions.add_erasure"
"""Who may erase people: superusers, and groups that were given it."""


def _account(name: str) -> Subject:
    users = get_user_model().objects
    user = users.filter(username=name).first() or users.filter(email=name).first()
    if user is None:
        raise NobodyError
    return forgetting.of_account(user)


def _participant(public_id: str) -> Subject:
    try:
        return forgetting.of_participant(public_id)
    except (ValidationError, ValueError) as e:
        raise NobodyError from e


KINDS: dict[str, tuple[str, Callable[[str], Subject]]] = {
    "discord": ("Discord id", forgetting.of_discord),
    "caller": ("Caller's number", forgetting.of_caller),
    "account": ("Account: name or e-mail", _account),
    "participant": ("Participant: public id", _participant),
}


@admin.register(Erasure)
class ErasureAdmin(ReadOnly):
    list_display = (
        "public_id",
        "road",
        "state",
        "sessions_done",
        "sessions_total",
        "asked_at",
        "done_at",
    )
    list_filter = ("state", "road")
    fields = (*list_display, "counts")
    search_fields = ("public_id",)

    def has_delete_permission(
        self, request: HttpRequest, obj: object | None = None
    ) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        may = {"may_erase": request.user.has_perm(ASK)}
        return super().changelist_view(request, (extra_context or {}) | may)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.erase_person)
        return [path("erase/", view, name="erase_person"), *super().get_urls()]

    def erase_person(self, request: HttpRequest) -> HttpResponse:
        if not request.user.has_perm(ASK):
            raise PermissionDenied
        kind = request.POST.get("kind", "discord")
        value = names.clean(request.POST.get("value", ""), longest=150)
        context = {
            **self.admin_site.each_context(request),
            "title": "Erase a person",
            "kinds": [(name, label) for name, (label, _) in KINDS.items()],
            "kind": kind,
            "value": value,
            "select": " ".join(SELECT_CLASSES),
            "input": " ".join(INPUT_CLASSES),
        }
        try:
            if request.method == "POST":
                subject = _subject(kind, value)
                if request.POST.get("step") == "erase":
                    return self._erase(request, subject)
                context["counts"] = forgetting.counted(subject)
        except VoiceError as e:
            context["error"] = e.message
        page = "admin/voice_sessions/erasure/erase.html"
        return render(request, page, context)

    def _erase(self, request: HttpRequest, subject: Subject) -> HttpResponse:
        made = forgetting.ask(subject, road=Erasure.Road.ADMIN)
        self.log_addition(request, made, "Asked for a person to be erased.")
        listed = reverse("admin:voice_sessions_erasure_change", args=[made.pk])
        told = f"It is being done: receipt {made.public_id}."
        self.message_user(request, told)
        return redirect(listed)


def _subject(kind: str, value: str) -> Subject:
    """Raises VoiceError where nobody of that name is known."""
    if kind not in KINDS or not value:
        raise NobodyError
    found = KINDS[kind][1](value)
    if not found.people and kind in ("participant", "account"):
        raise NobodyError
    return found
