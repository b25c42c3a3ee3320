"""Where every URL goes."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from bot.admin import pages
from voiceproject import health
from voiceproject.api import api
from voiceproject.metrics import metrics

theirs, app, name = admin.site.urls
ours = pages.addresses()

urlpatterns = [
    path("admin/", (ours + theirs, app, name)),
    path("api/", api.urls),
    path("health", health.ready, name="health"),
    path("health/live", health.live, name="health-live"),
    path("health/ready", health.ready, name="health-ready"),
    path("metrics", metrics, name="metrics"),
    path("", include("sessions.signin.urls")),
    path("", include("sessions.urls")),
    path("", include("transcripts.urls")),
]
