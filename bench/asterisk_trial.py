"""Real Asterisk against the whole phone: the sample dialplan, played on this machine.

An installation with two phone servers, and an Asterisk with docs/asterisk's dialplan,
only addresses and token changed; the operator is a tone. Telephones are RTP ends of
linear sound at 8 kHz: each sample that Asterisk is given, and gives back, is known.

    app, slin, parley   AudioSocket(), Dial with c(slin), and as it stands: greeted,
                        understood, kept, a key, the caller hangs up
    silent, silent-app  we ask and hang up: the dialplan goes on, and comes to an end
    transfer            asked for by the API: the dialplan asks where to, and goes there
    crowd               20 calls at once for 10 s, three times
    crash, restart      SIGKILL in mid-call: the UUID is dialled at the other server; or
                        at the same, which starts anew

`python bench/asterisk_trial.py PATH/TO/asterisk` takes five minutes; more words choose
among the trials. docs/asterisk/trial.md says how to build such an Asterisk.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import numpy as np
from decoding import decode
from stack import ALL, Stack, free_port, listens, wait_for
from telephone import FRAME, FRAME_S, RATE, Pcm, hiss, missing
from test_phone import at_phone, second_server

SAMPLE = ROOT / "docs" / "asterisk" / "extensions.conf"
PHRASE, LOUD, TONE_HZ, SILENCE_S, LINEAR = "hello team", 328, 440, 7, 11
CROWD, TALK_S = 20, 6
CRUMB = 40  # samples: a correction of the clock takes 10 ms out, not the frame
# Context, how often something is said, and how much sound may be missing: where a key
# is pressed Asterisk sends none, nor to a server that is dead or has hung up.
TRIALS = {
    "app": ("app", 1, 0.16),
    "slin": ("slin", 1, 0.16),
    "parley": ("parley", 1, np.inf),  # at 16 kHz nothing is as it was sent
    "silent": ("slin", 0, 0.5),
    "silent-app": ("app", 0, 3.5),
    "transfer": ("slin", 0, 3.5),
    "crowd": ("slin", 0, 0.02),
    "crash": ("slin", 2, 1.0),
    "restart": ("alone", 2, 6.0),
}
MODULES = """app_audiosocket app_dial app_exec app_playback app_senddtmf app_stack
    bridge_simple chan_audiosocket chan_rtp codec_resample format_sln func_callerid
    func_curl func_logic func_strings func_uuid pbx_config res_agi res_audiosocket
    res_clioriginate res_curl res_rtp_asterisk res_rtp_multicast res_speech
    res_timing_timerfd"""
MANAGER = (
    "[general]\nenabled=yes\nbindaddr=127.0.0.1\nport={}\n[a]\nsecret=a\nwrite=all\n"
)
CONTEXTS = """
[app]
exten => 100,1,Set(PARLEY_CALL=${UUID()})
 same => n,AudioSocket(${PARLEY_CALL},${PARLEY_1})
 same => n,Goto(parley-people,operator,1)
[alone]
exten => 100,1,Set(PARLEY_2=${PARLEY_1})
 same => n,Goto(slin,100,1)
[slin]
exten => 100,1,Set(PARLEY_CODEC=slin)
 same => n,Goto(parley,100,1)
"""
KEPT = """
import json
from bot.models import Call
for call in Call.objects.filter(uuid__in={!r}).select_related("session"):
    rows = call.session.recordings.filter(tier="original").order_by("start")
    said, digits = [], []
    for event in call.session.events.order_by("seq"):
        digits += [event.data["digit"]] if event.type == "digit" else []
        if event.type == "utterance" and event.data["name"] == "Caller":
            said.append(event.data["text"])
    end = [call.session.state, call.session.end_reason]
    rows = rows.values_list("participant__key", "key")
    print(json.dumps([str(call.uuid), end, said, digits, *rows]))
"""


async def until(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(40):
        while not what():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Exchange:
    """An Asterisk whose files are all in one folder, and which knows loopback alone."""

    def __init__(self, binary: str, folder: Path, values: dict[str, Any]) -> None:
        self._words, self.manager = (
            [binary, "-C", f"{folder}/asterisk.conf"],
            free_port(),
        )
        dialplan = SAMPLE.read_text() + CONTEXTS
        for name, value in values.items():
            dialplan = re.sub(rf"(?m)^{name}=.*$", f"{name}={value}", dialplan)
        operator = f"Playback({folder}/operator)"
        dialplan = dialplan.replace("Dial(PJSIP/operator,60)", operator)
        places = [f"ast{name}dir => {folder}\n" for name in ("etc", "run", "log", "db")]
        loads = [f"load = {name}.so\n" for name in MODULES.split()]
        (folder / "extensions.conf").write_text(dialplan)
        (folder / "manager.conf").write_text(MANAGER.format(self.manager))
        (folder / "asterisk.conf").write_text("[directories]\n" + "".join(places))
        (folder / "modules.conf").write_text("[modules]\n" + "".join(loads))
        tone = 8000 * np.sin(np.arange(3 * RATE) * 2 * np.pi * TONE_HZ / RATE)
        (folder / "operator.sln").write_bytes(tone.astype("<i2").tobytes())

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        words, null = [*self._words, "-f"], subprocess.DEVNULL
        process = subprocess.Popen(words, stdout=null, stderr=null)
        try:
            wait_for(
                "Asterisk",
                lambda: "System" in self.says("core show uptime"),
                within_s=20,
            )
            yield
        finally:
            self.says("core stop now")
            process.wait(20)

    def says(self, words: str) -> str:
        """What the console answers."""
        asked = [*self._words, "-rx", words]
        return subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout

    async def ask(self, words: str) -> str:
        return await asyncio.to_thread(self.says, words)


class Phone:
    """A telephone: sends a frame every 20 ms from the first packet that comes; hiss, no
    frame of which is like another, where it has nothing to say."""

    def __init__(self, exchange: Exchange, *, seed: int) -> None:
        self.exchange, self.channel, self.uuid = exchange, "", ""
        self.heard: list[tuple[float, Pcm]] = []
        self.sent: list[Pcm] = []
        self.waiting: list[Pcm] = []
        self._hiss = iter(hiss(120, seed=seed).reshape(-1, FRAME))
        self._peer: Any = None
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        asyncio.get_running_loop().add_reader(self._sock, self._read)
        self._pump = asyncio.create_task(self._send_all())

    async def call(self, context: str) -> None:
        """Returns when the line is open."""
        address = f"UnicastRTP/127.0.0.1:{self._sock.getsockname()[1]}"
        ask = self.exchange.ask
        await ask(f"channel originate {address}/c(slin) extension 100@{context}")
        await until(lambda: self.heard)
        channels = await ask("core show channels concise")
        self.channel = re.findall(rf"(?m)^{address}-[^!]+", channels)[0]
        shown = await ask(f"core show channel {self.channel}")
        self.uuid = re.findall(r"PARLEY_CALL=(\S+)", shown)[0]

    async def hang_up(self) -> None:
        self._pump.cancel()
        await self.exchange.ask(f"channel request hangup {self.channel}")
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()

    async def hears(self) -> None:
        """Something is said, and then nothing for a second."""
        since = len(self.heard)
        await until(lambda: self.loud_at(since))
        await until(lambda: not self.loud_at(-50))

    async def asks(self) -> None:
        """Say something, and hear the answer."""
        self.waiting += list(at_phone(PHRASE).reshape(-1, FRAME))
        await self.hears()

    def loud_at(self, since: int = 0) -> float:
        """When there was sound first, of the packets from `since` on; or 0."""
        heard = self.heard[since:]
        return next((at_s for at_s, pcm in heard if np.abs(pcm).max() > LOUD), 0.0)

    def has_operator(self) -> bool:
        """Whether the operator's tone was heard half a second ago."""
        sound = np.concatenate([pcm for _, pcm in self.heard[-75:-25]])
        return bool(np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound) == TONE_HZ)

    async def press(self, digit: str) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.exchange.manager
        )
        key = f"PlayDTMF\nChannel: {self.channel}\nDigit: {digit}\nReceive: true"
        for action in ("Login\nUsername: a\nSecret: a", key, "Logoff"):
            writer.write(f"Action: {action}\n\n".replace("\n", "\r\n").encode())
        await reader.read()
        writer.close()

    def _read(self) -> None:
        data, self._peer = self._sock.recvfrom(4096)
        pcm = np.frombuffer(data[12:], ">i2").astype(np.int16)
        self.heard.append((time.monotonic(), pcm))

    async def _send_all(self) -> None:
        await until(lambda: self._peer)
        due = time.monotonic()
        for number in range(65536):
            frame = self.waiting.pop(0) if self.waiting else next(self._hiss)
            head = struct.pack(">BBHII", 128, LINEAR, number, number * FRAME, 1)
            self._sock.sendto(head + frame.astype(">i2").tobytes(), self._peer)
            self.sent.append(frame)
            due += FRAME_S
            await asyncio.sleep(max(due - time.monotonic(), 0))


class Trial:
    """One of those above; what it finds goes through `held`."""

    def __init__(self, name: str, stack: Stack, exchange: Exchange) -> None:
        self._name, self._stack, self._exchange = name, stack, exchange
        self._context, self._said, self._lost_s = TRIALS[name]
        self.failed = 0

    def held(self, is_so: object, what: str) -> None:
        print(f"  {'held  ' if is_so else 'FAILED'}  {what}", flush=True)
        self.failed += not is_so

    async def play(self) -> None:
        count = CROWD if self._name == "crowd" else 1
        phones = [Phone(self._exchange, seed=number) for number in range(count)]
        calls = [phone.call(self._context) for phone in phones]
        faults = [f for f in await asyncio.gather(*calls, return_exceptions=True) if f]
        self.held(not faults, f"{count - len(faults)} of {count} calls answered")
        await asyncio.gather(*(phone.hears() for phone in phones))
        end = await self._go_on(phones[0])
        await asyncio.gather(*(phone.hang_up() for phone in phones))
        waits = [np.diff([at_s for at_s, _ in phone.heard]) * 1000 for phone in phones]
        p99, worst = np.percentile(np.concatenate(waits), (99, 100))
        lates = [(phone.loud_at() - phone.heard[0][0]) * 1000 for phone in phones]
        print(f"          greeted {max(lates):.0f} ms behind the first packet at most")
        print(f"          packets come {p99:.0f} ms apart (p99), {worst:.0f} at most")
        self._compare(phones, end)
        left = self._exchange.says("core show channels count").split()[0]
        self.held(left == "0", f"{left} channels left")

    async def _go_on(self, phone: Phone) -> str:
        """Behind the greeting; how the session is to end."""
        if self._name.startswith("silent"):
            await phone.hears()
            asked, ask = time.monotonic(), self._exchange.ask
            while phone.channel in await ask("core show channels concise"):
                assert time.monotonic() < asked + 3 * SILENCE_S, "the call does not end"
            is_app = self._context == "app"
            self.held(phone.has_operator() == is_app, "the dialplan went on, and ended")
            return "silence"
        if self._name == "transfer":
            since, asked = len(phone.heard), time.monotonic()
            path, to = f"/calls/{phone.uuid}/transfer", {"to": "operator"}
            await asyncio.to_thread(self._stack.api, "POST", path, to)
            await until(phone.has_operator)
            print(f"          the operator {phone.loud_at(since) - asked:.2f} s later")
            return "transferred"
        if self._name == "crowd":
            await asyncio.sleep(TALK_S)
            asked = time.monotonic()
            await self._exchange.ask("core show uptime")
            took_ms = (time.monotonic() - asked) * 1000
            self.held(took_ms < 1000, f"Asterisk's console answers in {took_ms:.0f} ms")
            return "hang_up"
        await phone.asks()
        if self._said == 1:
            await phone.press("7")
            await asyncio.sleep(1)
        else:
            self._stack.kill("bot")
            self._stack.start("bot")
            await asyncio.sleep(SILENCE_S - 2)
            await phone.asks()
        return "hang_up"

    def _compare(self, phones: list[Phone], end: str) -> None:
        """What was sent, and heard, with what is kept, once the sessions are ready."""
        question = KEPT.format([phone.uuid for phone in phones])
        found: list[Any] = []

        def are_ready() -> bool:
            answer = self._stack.manage("shell", "-v0", "-c", question)
            found[:] = sorted(json.loads(line) for line in answer.splitlines())
            return [kept[1] for kept in found] == [["ready", end]] * len(phones)

        wait_for(f"sessions ended by {end}", are_ready, within_s=90)
        storage, torn, lost_s = self._stack.folder / "storage", 0, 0.0
        for phone, kept in zip(
            sorted(phones, key=lambda p: p.uuid), found, strict=True
        ):
            ours, theirs = (
                [decode(storage / key) for side, key in kept[4:] if side == wanted]
                for wanted in ("parley", "caller")
            )
            sent = np.concatenate(phone.sent[10:-10])  # while the line was open
            lost_s += missing(sent, theirs, samples=CRUMB) * CRUMB / RATE
            heard = np.concatenate([pcm for _, pcm in phone.heard]).tobytes()
            torn += ours[0][: 3 * RATE].tobytes() not in heard
        texts, keys = [kept[2] for kept in found], [kept[3] for kept in found]
        self.held(
            texts == [[PHRASE] * self._said] * len(found), f"they said {texts[:1]}"
        )
        self.held(keys[0] == ["7"] * (self._said == 1), f"keys {keys[0]}")
        if self._context != "parley":
            self.held(
                lost_s <= self._lost_s, f"{lost_s:.3f} s of what was sent not kept"
            )
            self.held(not torn, f"{torn} greetings with a hole in their first 3 s")


def main() -> int:
    ports, failed = (free_port(), free_port()), 0
    env = {"RESPONDER": "echo", "STT_LANGUAGE": "en", "KEEP_ORIGINALS": "True"}
    env |= {"AUDIOSOCKET_PORT": str(ports[0]), "CALL_SILENCE_S": str(SILENCE_S)}
    with (
        Stack(programs=ALL, **env) as stack,
        second_server(stack, ports[1], free_port()),
        tempfile.TemporaryDirectory(prefix="parley-asterisk-") as folder,
    ):
        values = {f"PARLEY_{n}": f"127.0.0.1:{port}" for n, port in enumerate(ports, 1)}
        values |= {"PARLEY_API": stack.url, "PARLEY_TOKEN": stack.token}
        exchange = Exchange(sys.argv[1], Path(folder), values)
        with exchange.running():
            for name in sys.argv[2:] or [*TRIALS, "crowd", "crowd"]:
                wait_for("phones", lambda: all(map(listens, ports)), within_s=60)
                print(name, flush=True)
                trial = Trial(name, stack, exchange)
                try:
                    asyncio.run(trial.play())
                except (TimeoutError, AssertionError) as e:
                    trial.held(is_so=False, what=repr(e))
                    exchange.says("channel request hangup all")
                failed += trial.failed
        logs = stack.logs() + stack.log("second")
    print(f"{failed} things failed; {logs.count('Traceback')} tracebacks in our logs")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
