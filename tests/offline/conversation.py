"""A whole conversation on an island: `python conversation.py REPORT HOME`.

All that an installation does for people, with the settings it has by itself: opening,
talking, reading along, pages, exports, the end. Prints JSON: what was heard, and the
kernel's count of attempts to leave. HOME is an empty folder for it to leave alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER.parents[1]), str(FOLDER.parent)]

import numpy as np
from offline import island
from speech import voices
from stack import Stack
from talk import reading, talk

PHRASES = 3
EXPORTS = ("txt", "srt", "vtt", "json", "jsonl")
OUTSIDE = re.compile(
    r"""<(?!a )[^>]*(?:src|href|action)=["']?((?:https?:)?//[^"'> ]*)"""
)
PATHS = ("/", "/login", "/admin/login/", "/api/docs", "/api/openapi.json", "/health")


@dataclass(frozen=True, slots=True)
class Told:
    """The lines somebody read, and what the pages name outside of this machine."""

    lines: list[str]
    outside: list[str]


async def hold(stack: Stack) -> Told:
    """Two people talk, one reads along, then everything there is to read is read."""
    phrases = voices.unseen_phrases(PHRASES, seed=3)
    spoken = voices.speak_phrases(phrases, pause_s=1.2)
    pcm = np.concatenate([voices.silence(0.5), spoken, voices.silence(1.2)])
    session = stack.new_session(title="An island")
    async with reading(session) as viewer:
        await asyncio.gather(talk(session, pcm), talk(session, pcm, name="Bob"))
        stack.api("POST", f"/sessions/{session['id']}/end")
        await viewer.until(
            lambda v: v.of_type("state")[-1]["state"] == "ready", within_s=30
        )
    query = f"?token={session['token']}"
    paths = [f"/api/sessions/{session['id']}/transcript.{s}{query}" for s in EXPORTS]
    pages = [session["page_url"], *(stack.url + path for path in [*paths, *PATHS])]
    return Told([line["text"] for line in viewer.lines], _outside(pages))


def _outside(urls: list[str]) -> list[str]:
    """What the pages would have a browser fetch from elsewhere."""
    found = []
    for url in urls:
        with urllib.request.urlopen(url, timeout=30) as answer:
            if "html" in answer.headers["Content-Type"]:
                found += OUTSIDE.findall(answer.read().decode())
    return found


def main(report: str, home: str) -> None:
    if on_island := island.is_island():
        island.raise_loopback()
    before = island.departures()
    search = os.pathsep.join([str(FOLDER), str(FOLDER.parent)])
    # As it is by itself: may download what it lacks, and lacks nothing.
    with Stack(
        PYTHONPATH=search, EGRESS_REPORT=report, HOME=home, HF_HUB_OFFLINE="0"
    ) as stack:
        told = asyncio.run(hold(stack))
    after = island.departures()
    left = {name: after[name] - before[name] for name in after}
    facts: dict[str, Any] = {"on_island": on_island, "departures": left}
    print(json.dumps(asdict(told) | facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
