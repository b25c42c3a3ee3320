"""What shall go wrong, and which request it hits."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import Literal

from fakecord.entities import Json

Way = Literal["answer", "hang", "reset"]
TEXTS = {
    0: "401: Unauthorized",
    10003: "Unknown Channel",
    10004: "Unknown Guild",
    10007: "Unknown Member",
    10013: "Unknown User",
    40032: "Target user is not connected to voice.",
    50007: "Cannot send messages to this user",
    10008: "Unknown Message",
    10062: "Unknown interaction",
    40060: "Interaction has already been acknowledged.",
    50013: "Missing Permissions",
    30013: "Maximum number of guild channels reached (500)",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that says no."""

    status: int
    code: int = 0
    retry_after_s: float | None = None
    banned: bool = False
    """A 429 of Cloudflare's: it carries no Via header."""

    def json(self) -> Json:
        body: Json = {"code": self.code, "message": TEXTS.get(self.code, "Refused")}
        if self.retry_after_s is not None:
            body |= {"retry_after": self.retry_after_s, "global": False}
        return body

    def headers(self) -> dict[str, str]:
        if self.status != 429 or self.banned:
            return {}
        return {"Via": "1.1 google", "Retry-After": str(self.retry_after_s or 0)}


@dataclass(slots=True)
class Failure:
    """Hits the next `times` requests of one method to one pattern of paths."""

    method: str
    pattern: str
    refusal: Refusal
    way: Way = "answer"
    times: int = 1

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
