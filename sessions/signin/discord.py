"""Discord as allauth sees it: its addresses, its answers, and what we ask it for."""

from __future__ import annotations

from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialToken
from allauth.socialaccount.providers.base import ProviderException
from allauth.socialaccount.providers.discord.provider import DiscordProvider
from allauth.socialaccount.providers.discord.views import DiscordOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from sessions import guilds
from sessions.signin import answers

SCOPES = ("identify", "guilds")
API = "/api/v10"
BAD = (AttributeError, KeyError, TypeError, ValueError)
"""What reading an answer of the wrong shape raises."""


class Door(DiscordOAuth2Adapter):
    """One sign-in: the code for a token, the token for who it is and what they
    manage. Raises what allauth shows its error page for."""

    @property
    def authorize_url(self) -> str:
        return f"{settings.DISCORD_OAUTH_URL}/oauth2/authorize"

    @property
    def access_token_url(self) -> str:
        return f"{settings.DISCORD_OAUTH_URL}{API}/oauth2/token"

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        root = settings.PUBLIC_URL or request.build_absolute_uri("/").rstrip("/")
        return f"{root}{reverse('discord_callback')}"

    def get_access_token_data(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get_access_token_data(*args, **kwargs)
        except BAD as e:
            raise ProviderException("no token") from e

    def parse_token(self, data: Any) -> SocialToken:
        try:
            return super().parse_token(data)
        except (*BAD, OverflowError) as e:
            raise ProviderException("no token") from e

    def complete_login(
        self, request: HttpRequest, app: Any, token: SocialToken, **kwargs: Any
    ) -> Any:
        try:
            person = answers.profile(self._asked("/users/@me", token))
            managed = answers.managed(self._asked("/users/@me/guilds", token))
        except answers.AnswerError as e:
            raise ProviderException(str(e)) from e
        guilds.remember(person["id"], managed)
        return self.get_provider().sociallogin_from_response(request, person)

    def _asked(self, path: str, token: SocialToken) -> Any:
        url = f"{settings.DISCORD_OAUTH_URL}{API}{path}"
        headers = {"Authorization": f"Bearer {token.token}"}
        with get_adapter().get_requests_session() as http:
            answer = http.get(url, headers=headers)
        if answer.status_code != 200:
            raise ProviderException(f"{path} is answered {answer.status_code}")
        return answer.json()


class Discord(DiscordProvider):
    """The provider: by name in SOCIALACCOUNT_PROVIDERS."""

    oauth2_adapter_class = Door

    def get_default_scope(self) -> list[str]:
        return list(SCOPES)

    def get_scope_from_request(self, request: HttpRequest) -> list[str]:
        """Never more than ours, whatever the address says."""
        return list(SCOPES)
