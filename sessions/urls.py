"""The pages' addresses."""

from __future__ import annotations

from django.urls import path

from sessions import files, views

urlpatterns = [
    path("", views.home, name="home"),
    path("session/new", views.create, name="create"),
    path("session/<uuid:public_id>", views.session, name="session"),
    path("storage/<str:token>", files.stored, name="stored"),
]
