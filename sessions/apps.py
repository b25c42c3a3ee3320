"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class SessionsConfig(AppConfig):
    """Labelled `voice_sessions`: `sessions` is django.contrib.sessions' label."""

    name = "sessions"
    label = "voice_sessions"
    verbose_name = "Voice sessions"

    def ready(self) -> None:
        from sessions import checks  # noqa: F401 (registers the system checks)
