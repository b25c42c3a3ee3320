"""The phone: how many calls a core carries, and how well what we say keeps its pace.

The server has the second core (the kernel's own work is mostly on the first), a
generator in a process of its own the first. Each caller sends 320 bytes every 20 ms;
what comes back is timed frame by frame.

    bare         an echo of asyncio's, without a line: what this machine has room for
    transport    lines alone, each frame echoed as it comes, in place of silence
    calls        whole calls: session, both tracks, recording and voice detection
    talking      100 calls that are spoken to: how punctual their frames are, with both
                 cores for the server
    barge-in     calls that are greeted and interrupted: how soon we are silent

Targets: 1,200 and 300 calls with a turnaround below 20 ms for 99 of 100 frames, and
no frame lost; 99.9 % of what we say within 5 ms of its deadline; the first sound 100 ms
after the UUID, silence 60 ms after speech is detected. Beside it, of the fact
sheet: asyncio streams hold 400, a bare Protocol on uvloop 1,700 (transport), and 700
with a ledger, a recording and a cheap detector; Go's CyCore 1,000 to 1,200, AVA's
server 250 to 350 (transport). With `--redis` cache and tasks are Redis's, as in
installations of that size; files and SQLite have them otherwise.

`python bench/phone.py` takes five minutes; a number of seconds makes each step as long.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np
import soxr
import uvloop

from bench._echo import Bare, echoing, nobody_paces
from bench._process import cpu_s
from bench._telephones import generate, speech
from sessions.audio.frames import TIMELINE_RATE

TURNAROUND_MS = 20.0
STEPS = {
    "bare": (600, 900, 1200, 1500),
    "transport": (600, 750, 900, 1050, 1200, 1500),
    "calls": (50, 75, 100, 125, 150, 175, 200, 300),
}
TARGETS = {"bare": "none", "transport": "1200 calls", "calls": "300 calls"}
EVERY_S = {"bare": 0.004, "transport": 0.004, "calls": 0.05}
"""How soon behind each other they call: a session costs more to open than to hold."""


# --- who calls ----------------------------------------------------------------------


async def interrupt(port: int, calls: int) -> list[dict[str, Any]]:
    """Callers who speak while they are greeted, one after the other."""
    from speech import voices

    from bot.phone.caller import Caller

    spoken = voices.speak("hello please close the meeting")
    sound = soxr.resample(voices.trim(spoken), voices.SAMPLE_RATE_HZ, 8_000)
    told = []
    for number in range(calls):
        caller = Caller("127.0.0.1", port)
        await caller.connect()
        connected_at = time.monotonic()
        await caller.wait(1.0 + number * 0.01)
        await caller.say(sound, 8_000)
        await caller.wait(0.5)
        caller.hang_up()
        sounds = [one.arrival_s for one in caller.heard if any(one.audio.pcm)]
        told.append(
            {
                "call": str(caller.call),
                "first_ms": caller.summary().first_sound_ms,
                "last_at": connected_at + sounds[-1] if sounds else None,
            }
        )
    return told


# --- the servers ----------------------------------------------------------------------


async def serve_bare(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Bare, "127.0.0.1", port, backlog=2048)
    print("up", flush=True)
    await server.serve_forever()


async def serve_transport(port: int) -> None:
    class Nobody:
        def heard(self, audio: object, *, waited_s: float = 0.0) -> None: ...
        def dialled(self, symbol: str) -> None: ...
        def hung_up(self) -> None: ...
        def sent(self, frame: bytes | None, *, skipped: int) -> None: ...
        def said(self, piece: object) -> None: ...

    pacing, line = nobody_paces(), echoing()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: line(
            pacing=pacing,
            identified=lambda line, _: line.listen(Nobody()),
            lost=lambda _: None,
            allows=lambda _: True,
            kind10_rate=8_000,
        ),
        *("127.0.0.1", port),
        backlog=2048,
    )
    print("up", flush=True)
    await server.serve_forever()


async def serve_calls(port: int, *, talks: bool) -> None:
    from dataclasses import replace

    from bot.phone import conversation, server
    from bot.phone.talking import build_talking
    from bot.phone.warmup import warm_up
    from bot.voice.playout import Piece

    minute = speech(1.0)

    class Talking(conversation.Conversation):
        """A whole call to which somebody talks for a minute."""

        def begin(self) -> None:
            super().begin()
            self.line.say(Piece(minute))

        def said(self, piece: Piece) -> None: ...
        def sent(self, frame: bytes | None, *, skipped: int) -> None: ...

    if talks:
        server.Conversation = Talking  # type: ignore[misc]
    else:
        server.Line = echoing()  # type: ignore[misc]
    talking = build_talking()
    talking = replace(talking, rules=replace(talking.rules, greets=False))
    await warm_up()
    phone = server.PhoneServer(talking, max_calls=2_000)
    if not talks:
        phone.pacing = nobody_paces()
    await phone.start("127.0.0.1", port)
    print("up", flush=True)
    while True:
        await asyncio.sleep(0.5)
        print(*(f"{waits_s:.2f}" for waits_s in waiting_s()), flush=True)


def waiting_s() -> tuple[float, float]:
    """The most sound of one track that waits to be encoded; and to be listened to."""
    from sessions.capture.desk import desk
    from transcripts import live

    encoding = [0]
    recorders: list[Any] = list(desk._workers)
    for inbox in (one._inbox for one in recorders):
        with contextlib.suppress(IndexError):  # emptied meanwhile, on its thread
            encoding.append(inbox[-1].end - inbox[0].position)
    hearing = [one.behind_s for one in list(live.room()._hearings)]
    return max(encoding) / TIMELINE_RATE, max(hearing, default=0.0)


async def serve_greetings(port: int) -> None:
    """Calls that are greeted; says when it noticed that it was interrupted."""
    from bot.phone import conversation, server
    from bot.phone.talking import build_talking
    from bot.phone.warmup import warm_up

    class Noticing(conversation.Conversation):
        def _caller_speaks(self, speech_s: float) -> None:
            was_speaking = self._is_speaking
            super()._caller_speaks(speech_s)
            if self._is_speaking and not was_speaking:
                print(self.uuid, time.monotonic(), flush=True)

    server.Conversation = Noticing  # type: ignore[misc]
    talking = build_talking()
    await talking.prepare()
    await warm_up()
    phone = server.PhoneServer(talking)
    await phone.start("127.0.0.1", port)
    print("up", flush=True)
    await asyncio.Event().wait()


# --- what is printed ------------------------------------------------------------------


@contextlib.contextmanager
def serving(
    kind: str, port: int, *, cores: str = "1", **settings: str
) -> Iterator[subprocess.Popen[str]]:
    """A server in a process of its own, on these cores."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        env = os.environ | {
            "DATA_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
            "LOG_LEVEL": "ERROR",
            "TTS": "none",
            **settings,
        }
        run = [sys.executable, "manage.py", "migrate", "-v", "0"]
        subprocess.run(run, cwd=ROOT, env=env, check=True)
        program = (sys.executable, __file__)
        process = subprocess.Popen(
            ["taskset", "-c", cores, *program, f"serve-{kind}", str(port)],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


def asked(*words: object) -> Any:
    """What a generator found, in a process of its own, on the first core, where it
    comes first: telephones do not wait for the server."""
    first = ["nice", "-n", "-10"] if os.geteuid() == 0 else []
    run = [*first, "taskset", "-c", "0", sys.executable, __file__, *map(str, words)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def family_cpu_s(pid: int) -> float:
    """Of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_s(pid) + sum(cpu_s(int(child)) for child in children)


def main(seconds: float, **settings: str) -> None:
    for kind in STEPS:
        held = 0
        print(f"{kind} (target: {TARGETS[kind]})")
        for calls in STEPS[kind]:
            port = free_port()
            with serving(kind, port, **settings) as server:
                before, at = family_cpu_s(server.pid), time.monotonic()
                found = asked("generate", port, calls, seconds, EVERY_S[kind])
                load = (family_cpu_s(server.pid) - before) / (time.monotonic() - at)
                server.terminate()
                assert server.stdout is not None
                waited = [list(map(float, line.split())) for line in server.stdout]
            holds = found["p99_ms"] < TURNAROUND_MS and not found["lost"]
            held = calls if holds else held
            print(
                f"  {calls:5} calls: turnaround p50 {found['p50_ms']:5.1f}, "
                f"p99 {found['p99_ms']:6.1f}, worst {found['worst_ms']:6.1f} ms; "
                f"{found['lost']:.0f} of {found['sent']:.0f} frames lost; "
                f"{load:.2f} of the core; p99 of who calls "
                f"{found['sent_late_ms']:.1f} ms late{'' if holds else '  (too much)'}"
            )
            if waited:
                encoding, hearing = map(max, zip(*waited, strict=True))
                print(
                    f"{'':9}sound waited {encoding:.1f} s to be encoded, "
                    f"{hearing:.1f} s for voice detection, at most"
                )
            if not holds:
                break
        print(f"  holds {held} calls on a core")
    port = free_port()
    with serving("talking", port, cores="0,1", **settings):
        found = asked("listen", port, 100, seconds, EVERY_S["calls"])
    print(
        f"talking: 100 calls, {found['punctual']:.2%} of {found['said']:.0f} frames "
        f"within 5 ms of their deadline (target: 99.90 %), p99.9 {found['late_ms']:.1f}"
    )
    barge_in(calls=20)


def barge_in(calls: int) -> None:
    port = free_port()
    greets = {"TTS": "espeak", "RESPONDER": "echo", "CALL_GREETING_INTERRUPTIBLE": "1"}
    with serving("greetings", port, **greets) as server:
        told = asked("interrupt", port, calls)
        server.terminate()
        assert server.stdout is not None
        noticed = dict(line.split() for line in server.stdout)
    firsts = [one["first_ms"] for one in told]
    silent = [
        max((one["last_at"] - float(noticed[one["call"]])) * 1000, 0.0)
        for one in told
        if one["call"] in noticed
    ]
    print(
        f"barge-in: first sound {max(firsts):.0f} ms after the UUID at the latest "
        f"(target: 100), median {np.median(firsts):.0f}\n"
        f"  {len(silent)} of {calls} interrupted; silent {max(silent):.0f} ms after "
        f"speech was noticed at the latest (target: 60), median {np.median(silent):.0f}"
    )


if __name__ == "__main__":
    has_redis = "--redis" in sys.argv
    mode, *words = [w for w in sys.argv[1:] if w != "--redis"] or ["all"]
    if mode.startswith("serve-"):
        import django

        django.setup()
        from sessions import realtime

        realtime.tune()
        realtime.keep_connections()
        port = int(words[0])
        match mode.removeprefix("serve-"):
            case "bare":
                uvloop.run(serve_bare(port))
            case "transport":
                uvloop.run(serve_transport(port))
            case "greetings":
                uvloop.run(serve_greetings(port))
            case kind:
                uvloop.run(serve_calls(port, talks=kind == "talking"))
    elif mode in ("generate", "listen"):
        port, calls = int(words[0]), int(words[1])
        seconds, every_s = map(float, words[2:])
        found = generate(port, calls, seconds, every_s, talks=mode == "generate")
        print(json.dumps(found.report()))
    elif mode == "interrupt":
        print(json.dumps(uvloop.run(interrupt(int(words[0]), int(words[1])))))
    elif mode == "barge-in":
        barge_in(int(words[0]))
    else:
        from stack import redis_server

        with contextlib.ExitStack() as parts:
            env = (
                {"REDIS_URL": parts.enter_context(redis_server())} if has_redis else {}
            )
            main(8.0 if mode == "all" else float(mode), **env)
