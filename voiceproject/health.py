"""GET /health/live and /health/ready: does this process answer, and can it serve.
/health is the second."""

from __future__ import annotations

import structlog
from django.http import HttpRequest, JsonResponse

from voiceproject import readiness

log = structlog.get_logger(__name__)


def live(request: HttpRequest) -> JsonResponse:
    """200 as long as anything can be answered. Whoever restarts what hangs asks here:
    a database that is away is mended by no restart."""
    return JsonResponse({"status": "ok"})


def ready(request: HttpRequest) -> JsonResponse:
    """200 while the web can serve; `status` says whether all parts are well."""
    parts = readiness.parts()
    if not readiness.is_ready(parts):
        down = [name for name, part in parts.items() if not part["ok"]]
        log.warning("health.down", parts=down)
        return JsonResponse({"status": "down", "parts": parts}, status=503)
    well = all(part["ok"] for part in parts.values())
    return JsonResponse({"status": "ok" if well else "degraded", "parts": parts})
