"""The pages of signing in: allauth's, with our templates and our policy."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import views as accounts
from allauth.socialaccount import views as connections
from allauth.socialaccount.providers.oauth2.views import (
    OAuth2CallbackView,
    OAuth2LoginView,
)
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse

from sessions import csp
from sessions.signin.discord import Door

View = Callable[..., HttpResponse]


def leads_to_discord(view: View) -> View:
    """The page has a form whose answer leads on to Discord: browsers hold the policy
    against that, too."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        if settings.DISCORD_CLIENT_ID:
            csp.let_forms_lead_to(response, request, url=settings.DISCORD_OAUTH_URL)
        return response

    return guarded


def only_with_discord(view: View) -> View:
    """There is no such page unless Discord is set up."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not settings.DISCORD_CLIENT_ID:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


class Login(accounts.LoginView):
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        more = {"discord": settings.DISCORD_CLIENT_ID, "open": settings.OPEN_SIGN_UP}
        return super().get_context_data(**kwargs) | more


class Account(connections.ConnectionsView):
    """Who one is here, and on Discord."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        more = {"discord": settings.DISCORD_CLIENT_ID}
        return super().get_context_data(**kwargs) | more


@wraps(accounts.signup)
def signup(request: HttpRequest) -> HttpResponse:
    if not settings.OPEN_SIGN_UP:
        raise Http404
    return accounts.signup(request)


login = leads_to_discord(Login.as_view())
account = leads_to_discord(Account.as_view())
logout = accounts.logout
inactive = accounts.account_inactive
cancelled = only_with_discord(connections.login_cancelled)
discord = only_with_discord(leads_to_discord(OAuth2LoginView.adapter_view(Door)))
discord_callback = only_with_discord(OAuth2CallbackView.adapter_view(Door))
