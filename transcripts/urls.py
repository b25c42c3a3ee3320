"""The addresses of pages about what was said."""

from __future__ import annotations

from django.urls import path

from transcripts import people, views

urlpatterns = [
    path("search", views.search_page, name="search"),
    path("shared/<str:token>", views.shared_page, name="shared"),
    path("me/", people.me, name="me"),
    path("me/data.zip", people.download, name="my-data"),
    path("me/erase", people.erase, name="erase-me"),
    path("receipt/<uuid:public_id>", people.receipt, name="receipt"),
    path("receipt/<uuid:public_id>.txt", people.receipt_text, name="receipt-text"),
    path("unsubscribe/<str:token>", people.unsubscribe, name="unsubscribe"),
]
