"""What is counted while Parley runs: names, units and buckets, by Prometheus'
conventions. Whoever does a thing counts it here; nobody reads it but `/metrics`.

Without METRICS_TOKEN the numbers stay in memory and cost nothing. With it all processes
of a machine write theirs into files of DATA_DIR/metrics, and any of them can tell all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from django.conf import settings
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from sessions import slots

FOLDER = Path(settings.METRICS_DIR)
DELAYS_S = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 120.0)
FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0)
LENGTHS_S = (10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14400.0, 43200.0)

Mode = Literal["livesum", "livemax"]

is_shared = bool(settings.METRICS_TOKEN)
"""Whether the processes of this machine put their numbers together."""


def _forget(slot: int) -> None:
    """What was true of a process while it lived: counts stay, states go with it."""
    for path in FOLDER.glob(f"gauge_live*_{slot}.db"):
        path.unlink(missing_ok=True)


if is_shared:
    FOLDER.mkdir(parents=True, exist_ok=True)
    _slot = slots.Slot(FOLDER, taken=_forget)
    values.ValueClass = values.MultiProcessValue(_slot.number)

_here = CollectorRegistry()


def _counter(name: str, what: str, *labels: str) -> Counter:
    return Counter(f"parley_{name}", what, labels, registry=_here)


def _gauge(name: str, what: str, *labels: str, mode: Mode = "livesum") -> Gauge:
    return Gauge(
        f"parley_{name}",
        what,
        labels,
        registry=_here,
        multiprocess_mode=mode,
    )


def _histogram(
    name: str, what: str, *labels: str, buckets: tuple[float, ...]
) -> Histogram:
    return Histogram(f"parley_{name}", what, labels, registry=_here, buckets=buckets)


STREAMS = _gauge("streams", "Tracks that are captured now.", "source")
FRAMES = _counter("frames", "Pieces of sound that arrived.", "source")
WAITED = _counter(
    "frames_waited", "Of them, what was taken in more than 40 ms later.", "source"
)
AUDIO = _counter("audio_seconds", "Sound that arrived.", "source")
GAPS = _counter("gaps", "Holes of more than 40 ms where sound is missing.", "source")
GAP_TIME = _counter("gap_seconds", "How long those holes were, together.", "source")
LATE = _counter("late_frames", "Packets that came after their time.", "source")
ENCODER_LAG = _gauge(
    "encoder_lag_seconds", "How long a round of the encoders took.", mode="livemax"
)
VAD_TIME = _counter("vad_seconds", "Time spent on voice detection.")
VAD_BEHIND = _gauge(
    "vad_behind_seconds",
    "Sound of one track that nobody has listened to yet, at most.",
    mode="livemax",
)
STT_TIME = _counter("stt_seconds", "Time spent on speech to text.")
STT_AUDIO = _counter("stt_audio_seconds", "Sound that became text.")
STT_FACTOR = _histogram(
    "stt_real_time_factor", "Time to write down a second of sound.", buckets=FACTORS
)
TEXT_DELAY = _histogram(
    "text_delay_seconds", "From the end of speech to its text.", buckets=DELAYS_S
)
FEED_LAG = _histogram(
    "feed_lag_seconds", "From an event to who follows it.", buckets=DELAYS_S
)
STORAGE_ERRORS = _counter("storage_errors", "Attempts that storage failed.", "code")
ORPHANS_FOUND = _counter("orphans_found", "What its process left behind.", "kind")
ORPHANS_HEALED = _counter("orphans_healed", "What of that was put right.", "kind")
LEFT_BEHIND = _gauge(
    "left_behind",
    "Sessions that are over, and of which sound lies in a host's spool.",
    mode="livemax",
)
SESSION_TIME = _histogram(
    "session_seconds",
    "How long sessions and calls lasted.",
    "source",
    buckets=LENGTHS_S,
)


def orphans(kind: str, *, found: int, healed: int) -> None:
    """So much was left behind by its process, and so much of that is put right."""
    if found:
        ORPHANS_FOUND.labels(kind).inc(found)
    if healed:
        ORPHANS_HEALED.labels(kind).inc(healed)


def told(*more: Collector) -> bytes:
    """All numbers of this machine's processes, and of whatever else collects, in
    Prometheus' text format."""
    registry = _here
    if is_shared:
        for slot in slots.free(FOLDER):
            _forget(slot)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(FOLDER))
    found = generate_latest(registry)
    if more:
        others = CollectorRegistry()
        for collector in more:
            others.register(collector)
        found += generate_latest(others)
    return found
