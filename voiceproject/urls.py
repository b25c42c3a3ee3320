"""Where every URL goes."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from bot.admin import pages
from voiceproject.api import api
from voiceproject.health import health

theirs, app, name = admin.site.urls
ours = pages.addresses()

urlpatterns = [
    path("admin/", (ours + theirs, app, name)),
    path("api/", api.urls),
    path("health", health, name="health"),
    path("login", LoginView.as_view(), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("", include("sessions.urls")),
    path("", include("transcripts.urls")),
]
