"""Where every URL goes."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from voiceproject.api import api
from voiceproject.health import health
from voiceproject.metrics import metrics

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", api.urls),
    path("health", health, name="health"),
    path("metrics", metrics, name="metrics"),
    path("login", LoginView.as_view(), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("", include("sessions.urls")),
    path("", include("transcripts.urls")),
]
