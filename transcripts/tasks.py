"""What django-q calls: doorbells, of stt workers mostly. The work is found in the
tables."""

from __future__ import annotations

import threading
import time

import structlog
from django_q.conf import Conf
from structlog.contextvars import bound_contextvars

from sessions import hosts, measures, pulses
from transcripts import again, archive, doorbell, keeper, partials, utterances, workers
from transcripts.recognised import Recognised
from transcripts.stt import Engine
from transcripts.utterances import Claim
from transcripts.weights import ModelMissingError

log = structlog.get_logger(__name__)

# A task of django-q has a time limit (Q_CLUSTER's timeout, 600 s): go on in a new one.
DRAIN_S = 240.0
BYTES_PER_S = 2 * 16_000
"""Of an utterance's sound."""

# One utterance at a time in a process, whichever thread hears the bell.
_turn = threading.Lock()


def on_spawn(**_: object) -> None:
    """django-q's post_spawn: a worker process has begun, after its fork."""
    pulses.keep(Conf.CLUSTER_NAME)
    if Conf.CLUSTER_NAME == doorbell.MEDIA:
        hosts.keep()
    if Conf.CLUSTER_NAME == doorbell.STT:
        keeper.start(drain_if_idle)


def drain() -> int:
    """Transcribe until no utterance waits; returns how many were done."""
    engine = keeper.engine()
    if engine is None:
        return 0  # the rows wait; the keeper rings when there is a model
    done, until = 0, time.monotonic() + DRAIN_S
    with _turn:
        while time.monotonic() < until:
            claim = utterances.claim(workers.identity())
            if claim is None:
                # Only while nobody waits: what is being said comes before what was.
                if again.one(workers.identity(), engine):
                    continue
                return done
            try:
                with bound_contextvars(**claim.ids):
                    done += _transcribe(claim, engine)
            except ModelMissingError:
                utterances.postpone(claim)
                keeper.lost()
                return done
    doorbell.ring(doorbell.DRAIN)
    return done


def drain_if_idle() -> int:
    """As `drain`, unless this process is at it already."""
    if _turn.locked():
        return 0
    return drain()


def partial(participant_id: int) -> bool:
    """Write down what somebody is saying, if nothing better is to be done."""
    request = partials.take(participant_id)
    if request is None:
        return False
    engine = keeper.ready()
    if engine is None or utterances.final_waits():
        partials.shed(request)
        return False
    language = utterances.language_of(participant_id)
    language = language or partials.detected_language(request)
    try:
        recognised = engine.partial(request.audio, language=language)
    except Exception:
        # Whatever native code dislikes about this sound: the final comes anyway.
        log.warning("partial.failed", session=request.session_id, exc_info=True)
        partials.shed(request)
        return False
    return partials.show(request, recognised)


def pulse() -> str:
    """Tell how this worker is, and look for a model that was missing."""
    return keeper.pulse().state


def archive_again(session_id: int) -> bool:
    """Store a transcript that people have changed (media queue)."""
    return archive.again(session_id)


def _transcribe(claim: Claim, engine: Engine) -> bool:
    started = time.monotonic()
    try:
        recognised = engine.final(claim.audio, language=claim.language)
    except ModelMissingError:
        raise
    except Exception as e:
        # One utterance's fault, whatever it is, must not stop the others.
        log.warning("utterance.failed", utterance=claim.utterance_id, exc_info=True)
        utterances.give_back(claim, error=type(e).__name__)
        return False
    seconds = time.monotonic() - started
    is_ours = utterances.complete(claim, recognised)
    if not recognised.text:
        partials.clear(claim)
    if is_ours:
        _measure(claim, seconds=seconds)
    _log(claim, recognised, seconds=seconds, is_ours=is_ours)
    return is_ours


def _measure(claim: Claim, *, seconds: float) -> None:
    audio_s = len(claim.audio) / BYTES_PER_S
    measures.STT_TIME.inc(seconds)
    measures.STT_AUDIO.inc(audio_s)
    if audio_s:
        measures.STT_FACTOR.observe(seconds / audio_s)
    delay_s = utterances.delay_s(claim.utterance_id) if measures.is_shared else None
    if delay_s is not None:
        measures.TEXT_DELAY.observe(delay_s)


def _log(
    claim: Claim, recognised: Recognised, *, seconds: float, is_ours: bool
) -> None:
    log.info(
        "utterance.transcribed" if is_ours else "utterance.claim_lost",
        utterance=claim.utterance_id,
        words=len(recognised.words),
        language=recognised.language,
        compute_s=round(seconds, 3),
        attempt=claim.attempt,
    )
