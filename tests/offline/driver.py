"""A whole conversation in an installation that may not leave; reports what tried.

Run as a program, in a network namespace of its own where the system allows it: with
nothing but loopback the kernel itself counts every packet and connection for which it
knew no way, whoever asked, native code included.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import socket
import struct
import sys
from pathlib import Path
from typing import Any

OFFLINE = Path(__file__).resolve().parent
ROOT = OFFLINE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np
from speech import voices
from stack import Stack
from talk import reading, talk

PHRASES = ["hello team thank you", "please open the meeting", "save the note"]
PATIENCE_S = 30
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def raise_loopback() -> None:
    """A new network namespace has its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", IFF_UP)
        fcntl.ioctl(control, SIOCSIFFLAGS, request)


def without_a_way() -> int:
    """How often the kernel found no route, IPv4 and IPv6, in this namespace."""
    lines = Path("/proc/net/snmp").read_text("ascii").splitlines()
    names, values = [line.split() for line in lines if line.startswith("Ip:")]
    count = int(dict(zip(names, values, strict=True))["OutNoRoutes"])
    v6 = Path("/proc/net/snmp6")
    if v6.exists():
        found = dict(line.split() for line in v6.read_text("ascii").splitlines())
        count += int(found["Ip6OutNoRoutes"])
    return count


async def converse(stack: Stack) -> str:
    """Three lines, read along and ended; the transcript."""
    spoken = voices.speak_phrases(PHRASES, voice=voices.UNSEEN_VOICES[0], pause_s=1.2)
    session = stack.new_session(title="Offline")
    async with reading(session) as viewer:
        await talk(session, np.concatenate([spoken, voices.silence(1.2)]))
        await viewer.until(lambda v: len(v.lines) >= 3, within_s=PATIENCE_S)
        stack.api("POST", f"/sessions/{session['id']}/end")
        await viewer.until(
            lambda v: v.of_type("state")[-1]["state"] == "ready", within_s=PATIENCE_S
        )
    transcript: str = stack.api("GET", f"/sessions/{session['id']}/transcript.txt")
    return transcript


def run(log: Path, *, alone: bool) -> dict[str, Any]:
    """The conversation and what was tried; `alone`: in a namespace of our own."""
    if alone:
        raise_loopback()
    log.touch()
    # No help from the environment: the promise must not hang on a variable.
    with Stack(
        PYTHONPATH=f"{OFFLINE / 'guard'}:{ROOT / 'tests'}",
        OFFLINE_LOG=str(log),
        HF_HUB_OFFLINE="0",
    ) as stack:
        transcript = asyncio.run(converse(stack))
    return {
        "transcript": transcript,
        "watched": Path(f"{log}.watched").read_text("utf-8").splitlines(),
        "attempts": log.read_text("utf-8").splitlines(),
        "unrouted": without_a_way() if alone else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("result", type=Path)
    parser.add_argument("--alone", action="store_true")
    options = parser.parse_args()
    found = run(options.result.with_suffix(".log"), alone=options.alone)
    options.result.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
