"""The addresses of signing in. allauth knows its pages by the names given here."""

from __future__ import annotations

from django.urls import path

from sessions.signin import views

urlpatterns = [
    path("login", views.login, name="login"),
    path("login", views.login, name="account_login"),
    path("login/inactive", views.inactive, name="account_inactive"),
    path("login/discord", views.discord, name="discord_login"),
    path("login/discord/callback", views.discord_callback, name="discord_callback"),
    path("login/cancelled", views.cancelled, name="socialaccount_login_cancelled"),
    path("logout", views.logout, name="logout"),
    path("logout", views.logout, name="account_logout"),
    path("signup", views.signup, name="account_signup"),
    path("account", views.account, name="socialaccount_connections"),
]
