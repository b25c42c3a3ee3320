"""The pages' addresses."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from sessions import views

urlpatterns = [
    path("", views.home, name="home"),
    path("session/new", views.create, name="create"),
    path("session/<uuid:public_id>", views.session, name="session"),
    path(
        "sign-in", LoginView.as_view(redirect_authenticated_user=True), name="login"
    ),
    path("sign-out", LogoutView.as_view(), name="logout"),
]
