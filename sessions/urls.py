"""The pages' addresses."""

from __future__ import annotations

from django.urls import path

from sessions import dashboard, files, sounds, views

urlpatterns = [
    path("", dashboard.home, name="home"),
    path("live", dashboard.live, name="live"),
    path("session/new", dashboard.create, name="create"),
    path("session/<uuid:public_id>", views.session, name="session"),
    path("shared/<str:token>/sound", sounds.shared_sound, name="shared_sound"),
    path("storage/<str:token>", files.stored, name="stored"),
]
