"""The addresses of pages about what was said."""

from __future__ import annotations

from django.urls import path

from transcripts import views

urlpatterns = [path("search", views.search_page, name="search")]
