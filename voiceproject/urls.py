"""Where every URL goes."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from bot.admin import pages
from voiceproject.api import api
from voiceproject.health import health
from voiceproject.metrics import metrics

theirs, app, name = admin.site.urls
ours = pages.addresses()

urlpatterns = [
    path("admin/", (ours + theirs, app, name)),
    path("api/", api.urls),
    path("health", health, name="health"),
    path("metrics", metrics, name="metrics"),
    path("", include("sessions.signin.urls")),
    path("", include("sessions.urls")),
    path("", include("transcripts.urls")),
]
