"""GET /health: whether this installation works, part by part."""

from __future__ import annotations

import structlog
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, JsonResponse

from sessions import pulses
from transcripts import status, utterances, vad

BOT_SILENT_S = 30.0

log = structlog.get_logger(__name__)


def health(request: HttpRequest) -> JsonResponse:
    """200 while the web can serve; `status` says whether all parts are well."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        waiting = utterances.backlog()
    except DatabaseError:
        log.exception("health.database")
        parts = {"database": {"ok": False, "message": "The database does not answer."}}
        return JsonResponse({"status": "down", "parts": parts}, status=503)
    speech = status.read()
    detector = vad.state()
    parts = {
        "database": {"ok": True},
        "speech": {"ok": speech.state == "ready"}
        | speech.to_json(behind_s=waiting.oldest_s),
        "bot": _bot(),
        "voice_detection": {"ok": not detector.degraded, "message": detector.message},
    }
    well = all(part["ok"] for part in parts.values())
    return JsonResponse({"status": "ok" if well else "degraded", "parts": parts})


def _bot() -> dict[str, object]:
    """The bot process ends idle sessions and rings for lost work."""
    age_s = pulses.age_s("bot")
    if age_s is not None and age_s <= BOT_SILENT_S:
        return {"ok": True, "message": ""}
    message = "The bot process is not running: nothing ends idle sessions."
    return {"ok": False, "message": message}
