"""The cookies by which browsers stay signed in: Django's, under keys that it makes.

In a cookie stands what anybody likes, also what no database takes for text.
"""

from __future__ import annotations

import re

from django.contrib.sessions.backends import db

KEY = re.compile(r"[a-z0-9]{32}")


class SessionStore(db.SessionStore):
    """Of Django's name, by which it finds this, and with which it signs."""

    def _validate_session_key(self, key: str | None) -> bool:
        return key is not None and KEY.fullmatch(key) is not None
