"""How the admin looks, and where its rooms are: what django-unfold is told.

Names addresses only. Who may enter a room is the room's own to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse

MODERATE = "voice_sessions.moderate"

ROOMS: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...] = (
    (
        "Conversations",
        (
            (
                "Sessions",
                "forum",
                "voice_sessions_voicesession_changelist",
                "voice_sessions.view_voicesession",
            ),
            (
                "People",
                "group",
                "voice_sessions_participant_changelist",
                "voice_sessions.view_participant",
            ),
            (
                "Recordings",
                "graphic_eq",
                "voice_sessions_recording_changelist",
                "voice_sessions.view_recording",
            ),
            (
                "Transcripts",
                "notes",
                "transcripts_utterance_changelist",
                "transcripts.view_utterance",
            ),
        ),
    ),
    (
        "Coming and going",
        (
            (
                "Queue",
                "hourglass_empty",
                "voice_sessions_voicerequest_changelist",
                "voice_sessions.view_voicerequest",
            ),
            ("Calls", "call", "bot_call_changelist", "bot.view_call"),
            ("Discord", "headset_mic", "bot_discordcall_changelist", "bot.view_call"),
        ),
    ),
    (
        "Keeping house",
        (
            ("Operations", "monitor_heart", "operations", MODERATE),
            ("Orphans", "cleaning_services", "orphans", MODERATE),
            (
                "Jobs",
                "task_alt",
                "voice_sessions_job_changelist",
                "voice_sessions.view_job",
            ),
            (
                "Audit",
                "policy",
                "voice_sessions_auditentry_changelist",
                "voice_sessions.view_auditentry",
            ),
            (
                "Erasing",
                "ink_eraser",
                "voice_sessions_erasure_changelist",
                "voice_sessions.view_erasure",
            ),
            (
                "Admin actions",
                "history",
                "admin_logentry_changelist",
                "admin.view_logentry",
            ),
        ),
    ),
)
"""Groups of the sidebar: title, icon, address in the admin, and the right it asks."""

GREENS = {
    "50": "#f0f8f5",
    "100": "#e3f1ec",
    "200": "#c4e3d9",
    "300": "#97cfbd",
    "400": "#5cc2a3",
    "500": "#2f9a7e",
    "600": "#1f7a63",
    "700": "#1a6552",
    "800": "#165043",
    "900": "#133f36",
    "950": "#0a251f",
}
PAPERS = {
    "50": "#faf8f4",
    "100": "#f2efe8",
    "200": "#e4dfd4",
    "300": "#cfcabf",
    "400": "#a9ada5",
    "500": "#6f7369",
    "600": "#565a51",
    "700": "#444a46",
    "800": "#303634",
    "900": "#1d2120",
    "950": "#151817",
}


def rooms(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar, for whoever asks: only rooms that they may enter."""
    groups = []
    for title, found in ROOMS:
        items = [_item(*room) for room in found if _is_open(request, room)]
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    return groups


def _is_open(request: HttpRequest, room: tuple[str, str, str, str]) -> bool:
    _, _, name, right = room
    try:
        reverse(f"admin:{name}")
    except NoReverseMatch:
        return False
    return request.user.has_perm(right)


def _item(title: str, icon: str, name: str, _right: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse(f"admin:{name}")}


def _file(path: str) -> Callable[[HttpRequest], str]:
    def address(_request: HttpRequest) -> str:
        return static(path)

    return address


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Parley",
    "SITE_HEADER": "Parley",
    "SITE_SUBHEADER": "For moderators",
    "SITE_URL": "/",
    "SITE_ICON": _file("parley/mark.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": _file("parley/mark.svg")}
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "base": PAPERS,
        "primary": GREENS,
        "font": {
            "subtle-light": "var(--color-base-600)",
            "subtle-dark": "var(--color-base-400)",
            "default-light": "var(--color-base-700)",
            "default-dark": "var(--color-base-300)",
            "important-light": "var(--color-base-900)",
            "important-dark": "var(--color-base-100)",
        },
    },
    "STYLES": [_file("parley/admin.css")],
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": rooms,
    },
}
