"""How the bot is, as those who manage a server are told it: the figures of the call in
their server, and of all others no more than sums.

In English, as the log and the health page are: they name the same things.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from discord.utils import format_dt
from django_q.status import Stat

from bot.discord.metrics import VoiceMetrics
from bot.discord.vitals import CallVitals, Vitals
from sessions import queue
from transcripts import doorbell, status, utterances

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Works:
    """What is behind the bot: who waits for it, and who writes down and mixes."""

    waiting: int
    """Requests in the queue, of these guilds."""
    speech: str
    """What speech-to-text is doing."""
    behind: int
    """Utterances that have no text yet."""
    behind_s: float
    workers: int | None
    """Processes that lived three seconds ago, of speech and media; None: unknown."""
    tasks: int | None
    """That wait for a media worker."""


def works(guild_ids: Sequence[str]) -> Works:
    """Asks the database, the cache and the broker."""
    backlog = utterances.backlog()
    return Works(
        waiting=len(queue.places(guild_ids)),
        speech=status.read().state,
        behind=backlog.pending + backlog.claimed,
        behind_s=backlog.oldest_s,
        workers=_workers(),
        tasks=doorbell.waiting(doorbell.MEDIA),
    )


def told(vitals: Vitals, works: Works, *, guild_id: int, since: datetime | None) -> str:
    """The lines, for the managers of one guild. `since`: when we logged in."""
    lines = [_bot(vitals, since), f"Calls: {len(vitals.calls)} ({_all(vitals)})"]
    lines += [
        f"Here: {_call(call)}" for call in vitals.calls if call.guild == str(guild_id)
    ]
    lines += [
        f"Queue: waiting {works.waiting}",
        f"Speech-to-text: {works.speech}, utterances behind {works.behind}"
        f" ({works.behind_s:.0f} s)",
        f"Workers: {_known(works.workers)}, media tasks waiting {_known(works.tasks)}",
    ]
    return "\n".join(lines)


def _workers() -> int | None:
    try:
        return sum(len(cluster.workers) for cluster in Stat.get_all())
    except Exception:
        # Whatever the cache or the broker raises when it is away.
        log.warning("report.no_workers", exc_info=True)
        return None


def _bot(vitals: Vitals, since: datetime | None) -> str:
    ready = "ready" if vitals.is_ready else "not ready"
    at = f" since {format_dt(since, 'R')}" if since else ""
    away = f" ({vitals.unavailable} unavailable)" if vitals.unavailable else ""
    latency_s = vitals.latency_s
    pace = "" if latency_s is None else f", gateway {latency_s * 1000:.0f} ms"
    return f"Bot: {ready}{at}, servers {vitals.guilds}{away}{pace}"


def _all(vitals: Vitals) -> str:
    received = VoiceMetrics()
    for call in vitals.calls:
        received += call.received
    frames = sum(call.frames for call in vitals.calls)
    reconnects = sum(call.reconnects for call in vitals.calls)
    return f"{_received(received, frames)}, reconnects {reconnects}"


def _call(call: CallVitals) -> str:
    code = f", voice privacy code `{call.privacy_code}`" if call.privacy_code else ""
    return (
        f"people {call.people}, {_received(call.received, call.frames)},"
        f" reconnects {call.reconnects} (longest {call.longest_gap_s:.1f} s){code}"
    )


def _received(received: VoiceMetrics, frames: int) -> str:
    """What was lost on the way otherwise is named only where there is any."""
    others = {
        "transport_failed": received.transport_failed,
        "unclaimed": received.unclaimed,
        "refused": received.refused,
    }
    lost = "".join(f", {name} {count}" for name, count in others.items() if count)
    return (
        f"packets {received.packets}, frames {frames},"
        f" dave_failed {received.dave_failed}{lost}"
    )


def _known(count: int | None) -> str:
    return "unknown" if count is None else str(count)
