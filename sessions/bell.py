"""The doorbell: tells followers that a session has news, where Redis can carry it.

Carries nothing else, and may be lost: whoever follows looks by themselves too.
"""

from __future__ import annotations

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings

from sessions.outages import Outage

GROUP = "parley.events"

_redis = Outage("the bell")


def rings() -> bool:
    """Whether there is a bell between processes (Redis); without it, they poll."""
    return bool(settings.REDIS_URL)


def ring(session_id: int) -> None:
    """Wake everybody who follows this session, in every process. Never raises."""
    layer = get_channel_layer() if rings() else None
    if layer is None:
        return
    message = {"type": "session.news", "session": session_id}
    try:
        async_to_sync(layer.group_send)(GROUP, message)
    except Exception:
        # Redis away: followers poll, only slower. Nothing that matters is carried here.
        _redis.began()
    else:
        _redis.ended()
