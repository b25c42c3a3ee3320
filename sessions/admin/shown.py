"""How numbers look to people: lengths, sizes, ages; and links between rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import Truncator

from sessions.audio.frames import TIMELINE_RATE

NOTHING = "–"
UNITS = ("B", "kB", "MB", "GB", "TB")


def seconds(count: float | None) -> str:
    """`1 h 05 min`, `4 min 10 s`, `7 s`."""
    if count is None:
        return NOTHING
    whole = max(round(count), 0)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def samples(count: int) -> str:
    """A length in samples at 48 kHz."""
    return seconds(count / TIMELINE_RATE) if count else NOTHING


def at(position: int) -> str:
    """A position of a session's timeline, as its clock shows it: `0:04:10`."""
    return str(timedelta(seconds=position // TIMELINE_RATE))


def between(start: datetime | None, end: datetime | None) -> str:
    return seconds((end - start).total_seconds()) if start and end else NOTHING


def size(count: int | None) -> str:
    """Bytes: `3.4 MB`."""
    if not count:
        return NOTHING
    amount, unit = float(count), 0
    while amount >= 1000 and unit < len(UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {UNITS[unit]}" if unit == 0 else f"{amount:.1f} {UNITS[unit]}"


def number(count: int) -> str:
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def short(text: str, *, most: int = 90) -> str:
    return Truncator(text).chars(most)


def link(row: Model | None, text: str = "") -> SafeString | str:
    """To a row's own page in the admin."""
    if row is None:
        return NOTHING
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    try:
        address = reverse(name, args=[row.pk])
    except NoReverseMatch:
        return text or str(row)
    return format_html('<a href="{}">{}</a>', address, text or str(row))


def listed(model: type[Model], text: str, **query: Any) -> SafeString | str:
    """To a list in the admin, narrowed."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    try:
        address = reverse(name)
    except NoReverseMatch:
        return text
    return format_html('<a href="{}?{}">{}</a>', address, urlencode(query), text)
