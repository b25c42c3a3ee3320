"""What shall go wrong, and which request it hits; and how Discord says no."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import Literal

from fakecord.entities import Json

Way = Literal["answer", "hang", "reset", "slow", "lost", "mute", "done"]
"""How a request fails:

- answer: nothing is done, and the refusal is the answer
- hang: nothing is done, and nothing answered
- reset: nothing is done, and the connection breaks
- slow: it is done, and answered late
- lost: it is done, and the connection breaks before the answer
- mute: it is done, and nothing answered
- done: it is done, and the refusal is the answer all the same

aiohttp itself asks once more where a connection that was in use before breaks and the
method is GET, PUT or DELETE: such a failure needs `times=2` to be noticed.
"""
CARRIED_OUT = frozenset(("slow", "lost", "mute", "done"))
TEXTS = {
    0: "401: Unauthorized",
    10003: "Unknown Channel",
    10004: "Unknown Guild",
    10007: "Unknown Member",
    10008: "Unknown Message",
    10013: "Unknown User",
    10062: "Unknown interaction",
    10065: "Unknown Voice State",
    30013: "Maximum number of guild channels reached (500)",
    30034: "Max number of daily application command creates has been reached (200)",
    40005: "Request entity too large",
    40032: "Target user is not connected to voice.",
    40060: "Interaction has already been acknowledged.",
    50001: "Missing Access",
    50005: "Cannot edit a message authored by another user",
    50006: "Cannot send an empty message",
    50007: "Cannot send messages to this user",
    50013: "Missing Permissions",
    50035: "Invalid Form Body",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that says no."""

    status: int
    code: int = 0
    retry_after_s: float | None = None
    banned: bool = False
    """A 429 of Cloudflare's: it carries no Via header."""
    everywhere: bool = False
    """A 429 for all routes at once."""
    errors: Json | None = None
    """What is wrong with which field."""

    def json(self) -> Json:
        if self.status == 429:
            return {
                "message": "You are being rate limited.",
                "retry_after": self.retry_after_s or 0.0,
                "global": self.everywhere,
            }
        body: Json = {"code": self.code, "message": TEXTS.get(self.code, "Refused")}
        if self.errors is not None:
            body["errors"] = self.errors
        return body

    def headers(self) -> dict[str, str]:
        if self.status != 429 or self.banned:
            return {}
        found = {
            "Via": "1.1 google",
            "Retry-After": str(self.retry_after_s or 0),
            "X-RateLimit-Scope": "global" if self.everywhere else "user",
        }
        return found | ({"X-RateLimit-Global": "true"} if self.everywhere else {})


class Refused(Exception):  # noqa: N818 - it is not an error of ours
    """Discord says no."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal)
        self.refusal = refusal


@dataclass(slots=True)
class Failure:
    """Hits the next `times` requests of one method to one pattern of paths."""

    method: str
    pattern: str
    refusal: Refusal
    way: Way = "answer"
    times: int = 1
    after_s: float = 0.0
    """How long it takes until whatever happens happens."""

    def fits(self, method: str, path: str) -> bool:
        return (
            self.times > 0
            and self.method in (method, "*")
            and fnmatch.fnmatchcase(path, self.pattern)
        )


@dataclass(slots=True)
class Failures:
    """Those still to come."""

    _all: list[Failure] = field(default_factory=list)

    def add(self, failure: Failure) -> None:
        self._all.append(failure)

    def take(self, method: str, path: str) -> Failure | None:
        """The first that fits, used up by one."""
        for failure in self._all:
            if failure.fits(method, path):
                failure.times -= 1
                return failure
        return None

    def clear(self) -> None:
        self._all.clear()
