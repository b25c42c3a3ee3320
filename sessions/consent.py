"""Consent: what people are told before their first sample is stored, and which words
they agreed to. Pure but for the settings that `keeping` reads.

A version is that of the wording and a digest of what it says here: other days of
keeping are another text, and it is asked for again.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sessions import keeping
from sessions.errors import VoiceError

if TYPE_CHECKING:
    from sessions.models import VoiceSession

WORDING = "2026.1"
BY_PROGRAM = "program"
"""A program says that its person agreed; to which words, it knows itself."""
BY_NOTICE = "discord-notice"
BY_GREETING = "phone-greeting"
SAYS_YES = frozenset({"true", "1"})


class NoConsentError(VoiceError):
    """Somebody would be written down who has not agreed to it."""

    def __init__(self) -> None:
        message = (
            "Nobody agreed to be written down: say consent=true in the address once "
            "your speaker has."
        )
        super().__init__("no_consent", message, status=403)


class OptedOutError(VoiceError):
    """They have said that nothing of theirs is to be taken any more."""

    def __init__(self) -> None:
        message = "You asked not to be recorded any more in this session."
        super().__init__("opted_out", message, status=403)


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody reads before they agree: a line each."""

    version: str
    lines: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def told(session: VoiceSession) -> Told:
    """The text for one session, as its people read it now."""
    if session.record:
        lines = (
            "Your voice is recorded.",
            "Your words are written down, with the name you give.",
            f"How long it is kept: {keeping.sentence(keeping.of(session))}",
            "Everyone who has this session's link can hear and read it.",
            "You can stop at any time, and have everything you said here deleted.",
        )
    else:
        lines = (
            "Your words are written down while the session runs, with your name.",
            "Your voice is not kept: it is deleted once it is written down.",
            "Nothing is kept: sound and text are deleted at the end.",
            "Everyone who has this session's link can read along.",
            "You can stop at any time, and have everything you said here deleted.",
        )
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
    return Told(f"{WORDING}-{digest}", lines)


def agreed_to(said: str) -> str:
    """What is kept of a consent that came over the wire. Raises NoConsentError.

    Which days a page showed may have changed since it was loaded: what counts is the
    wording, and the version that they read is what is kept.
    """
    if said.lower() in SAYS_YES:
        return f"{BY_PROGRAM}-{WORDING}"
    wording, _, digest = said.partition("-")
    if wording != WORDING or not digest:
        raise NoConsentError
    return said
