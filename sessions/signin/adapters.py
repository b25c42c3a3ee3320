"""What we want otherwise than allauth: who may sign up, what is said and logged."""

from __future__ import annotations

from typing import Any, ClassVar

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from django.conf import settings
from django.http import HttpRequest

from sessions import audit
from sessions.guilds import DISCORD

log = structlog.get_logger(__name__)

NOWHERE = "unknown"
MISMATCH = "That name and password do not match. Please try again."


class Accounts(DefaultAccountAdapter):
    """Accounts with a password."""

    error_messages: ClassVar = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": MISMATCH,
        "too_many_login_attempts": "Too many attempts. Please wait a few minutes.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.OPEN_SIGN_UP)

    def get_client_ip(self, request: HttpRequest) -> str:
        """For the limits on attempts: as the audit log knows it."""
        return audit.address_of(request) or NOWHERE

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Only what the account's page shows: "signed in" needs no saying."""
        if (message_template or "").startswith("socialaccount/"):
            super().add_message(request, level, message_template, *args, **kwargs)


class DiscordAccounts(DefaultSocialAccountAdapter):
    """Accounts that come with a Discord user."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Whoever is on Discord: what they see is theirs alone."""
        return True

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: Any = None
    ) -> list[SocialApp]:
        """From the settings and nowhere else: no secret lies in the database."""
        if not settings.DISCORD_CLIENT_ID:
            return []
        return [
            SocialApp(
                provider=DISCORD,
                name="Discord",
                client_id=settings.DISCORD_CLIENT_ID,
                secret=settings.DISCORD_CLIENT_SECRET,
            )
        ]

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: Exception | None = None,
        extra_context: Any = None,
    ) -> None:
        """Without what was answered: tokens may stand in it."""
        log.warning(
            "signin.discord_failed", code=str(error), error=type(exception).__name__
        )
