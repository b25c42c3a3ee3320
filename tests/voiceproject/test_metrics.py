"""/metrics: what processes count, put together; who may read it; and what is drawn."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from speech import voices
from stack import ROOT, Stack, free_port, wait_for
from telephone import RATE, Pcm, noise

from bot.phone.caller import Caller

TOKEN = "for the eyes of Prometheus"
MONITORING = ROOT / "docs" / "monitoring"
ABOUT_TRACKS = ("capture.", "recording.", "utterance.")
ABOUT_SESSIONS = ("call.", "participant.", "session.", *ABOUT_TRACKS)
"""How lines of the log begin that are about one."""


class Numbers(dict[str, float]):
    """Samples by name and labels, as they are written: `name{label="value"}`."""

    def __init__(self, text: str) -> None:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f'{k}="{v}"' for k, v in sample.labels.items())
                self[f"{sample.name}{{{labels}}}" if labels else sample.name] = (
                    sample.value
                )

    @property
    def names(self) -> set[str]:
        return {name.partition("{")[0] for name in self}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(
        TTS="none",
        METRICS_TOKEN=TOKEN,
        LOG_JSON="True",
        AUDIOSOCKET_PORT=str(free_port()),
    ) as running:
        yield running


def read(stack: Stack, token: str = TOKEN) -> str:
    asked = urllib.request.Request(f"{stack.url}/metrics")
    asked.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(asked, timeout=20) as answer:
        text: str = answer.read().decode()
    return text


def test_nobody_reads_it_without_its_token(stack: Stack) -> None:
    for token in ("", "another", TOKEN + "x"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            read(stack, token)


async def test_a_call_is_counted_by_whichever_process_does_what(stack: Stack) -> None:
    before = Numbers(read(stack))
    caller = Caller("127.0.0.1", int(stack.env["AUDIOSOCKET_PORT"]))
    await caller.connect()
    await caller.say(noise(3.0), RATE)
    during = Numbers(read(stack))
    assert during['parley_streams{source="phone"}'] == 1
    assert during['parley_sessions{state="active"}'] == 1
    caller.hang_up()

    def is_over() -> bool:
        after = Numbers(read(stack))
        return after.get('parley_session_seconds_count{source="phone"}', 0) == 1

    await asyncio.to_thread(wait_for, "the end", is_over, within_s=30)
    after = Numbers(read(stack))
    sound = 'parley_audio_seconds_total{source="phone"}'
    assert after[sound] - before.get(sound, 0) == pytest.approx(3.0, abs=0.1)
    assert after['parley_frames_total{source="phone"}'] == pytest.approx(150, abs=25)
    assert after['parley_streams{source="phone"}'] == 0
    assert after["parley_vad_seconds_total"] > 0


async def test_a_call_leaves_a_line_of_figures_and_its_ids_in_the_log(
    stack: Stack,
) -> None:
    caller = Caller("127.0.0.1", int(stack.env["AUDIOSOCKET_PORT"]))
    await caller.connect()
    await caller.say(talking(), RATE)
    caller.hang_up()

    def is_told() -> bool:
        return bool(spoken_in(stack))

    await asyncio.to_thread(wait_for, "its figures", is_told, within_s=60)
    (told,) = spoken_in(stack)
    assert (told["source"], told["reason"]) == ("phone", "hang_up")
    assert told["people"] == 1
    assert told["lines"] == told["segments"] == 1
    assert 0 < told["text_delay_p50_s"] <= told["text_delay_p95_s"]
    assert (told["gaps"], told["dropped"]) == (0, 0)
    numbers = Numbers(read(stack))
    assert numbers["parley_stt_seconds_total"] > 0
    assert numbers["parley_stt_audio_seconds_total"] == pytest.approx(1.2, abs=0.8)
    assert numbers["parley_stt_real_time_factor_count"] >= 1
    assert numbers["parley_text_delay_seconds_count"] >= 1
    assert numbers["parley_utterances_waiting"] == 0
    assert numbers['parley_session_seconds_count{source="phone"}'] >= 1
    lines = [
        json.loads(line)
        for name in ("web", "bot", "stt", "media")
        for line in stack.log(name).splitlines()
    ]
    about = [line for line in lines if line["event"].startswith(ABOUT_SESSIONS)]
    assert {line["event"] for line in about} >= {"call.answered", "capture.closed"}
    assert not [line for line in about if "session" not in line]
    tracks = [line for line in about if line["event"].startswith(ABOUT_TRACKS)]
    assert {line["event"] for line in tracks} >= {"utterance.transcribed"}
    assert not [line for line in tracks if "track" not in line]


def spoken_in(stack: Stack) -> list[dict[str, Any]]:
    """The figures of calls in which anything was said."""
    path = stack.folder / "logs" / "voice_metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    told = [json.loads(line) for line in lines]
    return [line for line in told if line["segments"]]


def talking() -> Pcm:
    """A phrase, and a pause behind it."""
    phrase = voices.speak("hello team")
    said = np.concatenate([phrase, np.zeros(RATE, np.int16)])
    return said[:: voices.SAMPLE_RATE_HZ // RATE]


def test_what_a_killed_process_counted_stays_and_what_it_was_goes(stack: Stack) -> None:
    counted = Numbers(read(stack))['parley_audio_seconds_total{source="phone"}']
    assert counted > 0
    stack.kill("bot")
    stack.start("bot")
    wait_for("bot", lambda: stack.health()["parts"]["bot"]["ok"], within_s=30)
    after = Numbers(read(stack))
    assert after['parley_audio_seconds_total{source="phone"}'] == counted
    assert after.get('parley_streams{source="phone"}', 0) == 0
    printed = Numbers(stack.manage("metrics"))
    assert printed['parley_audio_seconds_total{source="phone"}'] == counted


def test_every_panel_and_alert_asks_for_what_there_is(stack: Stack) -> None:
    from sessions import measures

    families = {
        family.name: family.type
        for family in text_string_to_metric_families(read(stack))
    }
    families |= {f.name: f.type for f in measures._here.collect()}
    known = set()
    for name, kind in families.items():
        endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
        known |= {name + ending for ending in endings.get(kind, ("",))}
    asked: dict[str, str] = {}
    board = json.loads((MONITORING / "grafana.json").read_text())
    for panel in board["panels"]:
        asked |= {target["expr"]: panel["title"] for target in panel["targets"]}
    rules: Any = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    for group in rules["groups"]:
        asked |= {rule["expr"]: rule["alert"] for rule in group["rules"]}
    for expression, where in asked.items():  # else it only joins what has equal labels
        assert " and " not in expression or " and on (" in expression, where
    assert len(asked) > 15
    used = set()
    for expression, where in asked.items():
        names = set(re.findall(r"parley_\w+", expression))
        assert names, where
        assert names <= known, f"{where}: {names - known}"
        used |= names
    families_used = {
        name for name in families if any(one.startswith(name) for one in used)
    }
    unused = {n for n in families if n.startswith("parley_")} - families_used
    assert not unused, "nobody looks at these"
