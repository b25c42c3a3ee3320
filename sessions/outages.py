"""An outage is logged when it begins and when it ends, not at each attempt between."""

from __future__ import annotations

import structlog

log = structlog.get_logger(__name__)


class Outage:
    """One thing that may be away, such as Redis; one object per process and thing."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_on = False

    def began(self) -> None:
        """Call in the `except` of a failed attempt: the first one logs its error."""
        if not self._is_on:
            self._is_on = True
            log.warning("outage.began", what=self._what, exc_info=True)

    def ended(self) -> None:
        """Call after an attempt that worked."""
        if self._is_on:
            self._is_on = False
            log.warning("outage.ended", what=self._what)
