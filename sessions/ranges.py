"""Parts of a file, as players ask for them: RFC 9110 14. Pure.

One range is answered; whoever asks for several gets the whole file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
class Part:
    """From byte `start` up to `stop` of `size`; `is_range`: it was asked for."""

    start: int
    stop: int
    size: int
    is_range: bool

    @property
    def is_empty(self) -> bool:
        """A range behind the file's end: there is nothing to answer."""
        return self.is_range and self.start >= self.stop

    @property
    def status(self) -> int:
        return 206 if self.is_range else 200

    @property
    def headers(self) -> dict[str, str]:
        told = {
            "Accept-Ranges": "bytes",
            "Content-Length": str(self.stop - self.start),
        }
        if self.is_range:
            span = f"bytes {self.start}-{self.stop - 1}/{self.size}"
            told["Content-Range"] = span
        return told


def wanted(header: str, *, size: int) -> Part:
    """What a Range header asks for; all of it without one."""
    found = RANGE.fullmatch(header)
    if found is None or found.groups() == ("", ""):
        return Part(0, size, size, is_range=False)
    first, last = found.groups()
    if not first:  # the last so many bytes
        return Part(max(size - int(last), 0), size, size, is_range=True)
    stop = min(int(last) + 1 if last else size, size)
    return Part(int(first), stop, size, is_range=True)
