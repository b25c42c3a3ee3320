"""Speech that is kept, so that what is said in every call is made once. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Prompt(NamedTuple):
    """What was said, how: the engine's name, the language, the rate in Hz."""

    text: str
    language: str
    voice: str
    rate: int


class Prompts:
    """At most `max_bytes` of speech; what was not asked for the longest time goes.

    What is pinned stays, whatever it takes: it is what the settings name.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Prompt, NDArray[np.int16]] = OrderedDict()
        self._pinned: dict[Prompt, NDArray[np.int16]] = {}
        self.size_bytes = 0
        """Without what is pinned."""

    def get(self, prompt: Prompt) -> NDArray[np.int16] | None:
        if prompt in self._kept:
            self._kept.move_to_end(prompt)
            return self._kept[prompt]
        return self._pinned.get(prompt)

    def put(self, prompt: Prompt, pcm: NDArray[np.int16]) -> None:
        """Keep it, read-only: callers share it."""
        pcm.flags.writeable = False
        if prompt in self._pinned or prompt in self._kept:
            return
        self._kept[prompt] = pcm
        self.size_bytes += pcm.nbytes
        while self.size_bytes > self._max_bytes:
            self.size_bytes -= self._kept.popitem(last=False)[1].nbytes

    def pin(self, prompt: Prompt, pcm: NDArray[np.int16]) -> None:
        pcm.flags.writeable = False
        if prompt in self._kept:
            self.size_bytes -= self._kept.pop(prompt).nbytes
        self._pinned[prompt] = pcm
