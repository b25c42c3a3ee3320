"""Server-sent events: bytes in, the data of each event out. Pure."""

from __future__ import annotations

MAX_EVENT_BYTES = 256 * 1024


class EventReader:
    """One stream. Takes any line ends and any cut; comments and names are skipped."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[str]:
        """The data of the events that are whole now. Raises ValueError."""
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_EVENT_BYTES:
            raise ValueError("an event without end")
        found = [self._take(line.removesuffix(b"\r")) for line in lines]
        return [event for event in found if event is not None]

    def flush(self) -> list[str]:
        """The last event, if the blank line behind it is missing."""
        self._take(self._rest.removesuffix(b"\r"))
        self._rest = b""
        last = self._take(b"")
        return [] if last is None else [last]

    def _take(self, line: bytes) -> str | None:
        """An event, if this line ends one."""
        if line:
            name, _, value = line.removeprefix(b"\xef\xbb\xbf").partition(b":")
            if name == b"data":
                self._size += len(line)
                if self._size > MAX_EVENT_BYTES:
                    raise ValueError("an event without end")
                self._data.append(value.removeprefix(b" ").decode("utf-8", "replace"))
            return None
        data, self._data, self._size = self._data, [], 0
        return "\n".join(data) if data else None
