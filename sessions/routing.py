"""WebSocket addresses."""

from __future__ import annotations

from django.urls import URLPattern, path, re_path

from sessions import consumers, liveboard

# The id is taken as any text: a wrong one is answered 4004, not a refused handshake.
websocket_urlpatterns: list[URLPattern] = [
    path("session/<str:public_id>/audio", consumers.AudioConsumer.as_asgi()),
    path("session/<str:public_id>/live", consumers.LiveConsumer.as_asgi()),
    path("live", liveboard.BoardConsumer.as_asgi()),
    re_path(r"", consumers.NowhereConsumer.as_asgi()),
]
