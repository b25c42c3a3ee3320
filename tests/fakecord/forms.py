"""What Discord takes in the fields of a request, and how it says what is wrong there.

The limits are those of its API documentation, version 10.
"""

from __future__ import annotations

from typing import Any

from fakecord.entities import Json
from fakecord.failures import Refusal, Refused

NAME_AT_MOST, STATUS_AT_MOST, NICK_AT_MOST = 100, 500, 32
CONTENT_AT_MOST, EMBEDS_AT_MOST, DESCRIPTION_AT_MOST = 2000, 10, 4096
CUSTOM_ID_AT_MOST = 100
FILE_AT_MOST = 10_485_760
"""Bytes of one attachment, in a guild without boosts."""
LIMIT_AT_MOST = 99
"""Members in a voice channel; 0 is no limit."""


def invalid(name: str, code: str, text: str) -> Refused:
    """400, 50035: something is wrong with this field."""
    errors: Json = {name: {"_errors": [{"code": code, "message": text}]}}
    return Refused(Refusal(400, 50035, errors=errors))


def check_length(name: str, text: str, at_most: int, *, at_least: int = 0) -> None:
    """Raises Refused where a text is too long, or too short."""
    if not at_least <= len(text) <= at_most:
        words = f"Must be between {at_least} and {at_most} in length."
        raise invalid(name, "BASE_TYPE_BAD_LENGTH", words)


def check_channel(body: Json) -> None:
    """What is set of a channel's name and limits; raises Refused."""
    if "name" in body:
        check_length("name", body["name"], NAME_AT_MOST, at_least=1)
    if not 0 <= (body.get("user_limit") or 0) <= LIMIT_AT_MOST:
        words = f"Value should be less than or equal to {LIMIT_AT_MOST}."
        raise invalid("user_limit", "NUMBER_TYPE_MAX", words)


def check_message(body: Json, sizes: list[int], *, edited: bool = False) -> None:
    """What is written, and the bytes of each file; raises Refused."""
    embeds, rows = body.get("embeds") or [], body.get("components") or []
    content = body.get("content") or ""
    if not (content or embeds or rows or sizes or edited):
        raise Refused(Refusal(400, 50006))
    if any(size > FILE_AT_MOST for size in sizes):
        raise Refused(Refusal(413, 40005))
    check_length("content", content, CONTENT_AT_MOST)
    if len(embeds) > EMBEDS_AT_MOST:
        words = f"Must be {EMBEDS_AT_MOST} or fewer in length."
        raise invalid("embeds", "BASE_TYPE_MAX_LENGTH", words)
    for embed in embeds:
        check_length("embeds", embed.get("description") or "", DESCRIPTION_AT_MOST)
    for button in components(rows):
        if "custom_id" in button:
            check_length("components", button["custom_id"], CUSTOM_ID_AT_MOST)


def components(rows: list[Any]) -> list[Json]:
    """All that can be pressed or chosen, whatever it lies in."""
    found: list[Json] = []
    for one in rows:
        found += [one, *components(one.get("components") or [])]
        if accessory := one.get("accessory"):
            found.append(accessory)
    return found
