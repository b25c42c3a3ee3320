"""What a call needs, loaded before the first one: its first second is heard in time."""

from __future__ import annotations

import numpy as np
from channels.db import database_sync_to_async

from bot.models import Call
from bot.phone.inbound import Inbound
from bot.phone.protocol import Audio
from sessions.audio.encode import TrackEncoder
from sessions.audio.frames import TIMELINE_RATE, Placed
from sessions.audio.resample import Upsampler
from transcripts import vad


async def warm_up() -> None:
    """Detector, encoder, resamplers and the database's connection, each used once."""
    await database_sync_to_async(Call.objects.exists)()
    await database_sync_to_async(_load)()


def _load() -> None:
    vad.state()  # it tries itself
    pcm = np.ones(TIMELINE_RATE // 10, np.int16)
    TrackEncoder(first_frame=0).put(0, pcm)
    list(Upsampler().put(Placed(0, pcm[:800], 8_000)))
    Inbound(TIMELINE_RATE).pcm(Audio(pcm.tobytes(), 44_100))
