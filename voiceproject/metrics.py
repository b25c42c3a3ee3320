"""GET /metrics: what Prometheus reads, for whoever has METRICS_TOKEN.

What the processes of this machine counted, and what the database holds just now.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db.models import Count, Min
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_q.brokers import get_broker
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sessions import measures
from sessions.models import Recording, State, VoiceSession
from transcripts import utterances

log = structlog.get_logger(__name__)

QUEUES = ("stt", "media")


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    given = request.headers.get("Authorization", "").encode()
    wanted = f"Bearer {settings.METRICS_TOKEN}".encode()
    if not settings.METRICS_TOKEN or not hmac.compare_digest(given, wanted):
        raise Http404
    return HttpResponse(measures.told(Stored()), content_type=CONTENT_TYPE_LATEST)


class Stored(Collector):
    """What the database knows; a part that does not answer is left out."""

    def collect(self) -> Iterable[Metric]:
        for part in (_sessions, _utterances, _files, _queues):
            try:
                yield from part()
            except (DatabaseError, OSError):
                log.warning("metrics.part_missing", part=part.__name__, exc_info=True)


def _sessions() -> Iterable[Metric]:
    family = GaugeMetricFamily(
        "parley_sessions", "Sessions, by their state.", labels=["state"]
    )
    rows = VoiceSession.objects.order_by().values_list("state").annotate(Count("pk"))
    found = dict(rows)
    for state in State.values:
        family.add_metric([state], found.get(state, 0))
    yield family
    oldest = VoiceSession.objects.filter(state=State.FINISHING).aggregate(
        at=Min("ended_at")
    )["at"]
    yield GaugeMetricFamily(
        "parley_finishing_oldest_seconds",
        "How long the session that has been finishing the longest has been at it.",
        value=(timezone.now() - oldest).total_seconds() if oldest else 0.0,
    )


def _utterances() -> Iterable[Metric]:
    waiting = utterances.backlog()
    yield GaugeMetricFamily(
        "parley_utterances_waiting",
        "Utterances that wait for their text.",
        value=waiting.pending,
    )
    yield GaugeMetricFamily(
        "parley_utterance_oldest_seconds",
        "How long the oldest of them has waited.",
        value=waiting.oldest_s or 0.0,
    )


def _files() -> Iterable[Metric]:
    rows = Recording.objects.filter(state=Recording.State.SPOOLED)
    yield GaugeMetricFamily(
        "parley_files_waiting", "Files that storage does not have yet.", rows.count()
    )


def _queues() -> Iterable[Metric]:
    family = GaugeMetricFamily(
        "parley_queue_tasks", "Tasks that wait for a worker.", labels=["queue"]
    )
    for queue in QUEUES:
        family.add_metric([queue], get_broker(queue).queue_size())
    yield family
