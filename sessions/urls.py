"""The pages' addresses."""

from __future__ import annotations

from django.urls import path

from sessions import dashboard, files, views

urlpatterns = [
    path("", dashboard.home, name="home"),
    path("live", dashboard.live, name="live"),
    path("session/new", dashboard.create, name="create"),
    path("session/<uuid:public_id>", views.session, name="session"),
    path("storage/<str:token>", files.stored, name="stored"),
]
