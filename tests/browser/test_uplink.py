"""The uplink against a server with weather: every byte once, each at its place."""

from __future__ import annotations

import numpy as np
import pytest
from browser.fake_server import FakeServer, Stream
from browser.waiting import until
from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

FRAME = 480  # samples, as the worklet makes them

BEGIN = """
async ({ address, keepS, pause }) => {
  const { Uplink } = await import("/static/parley/uplink.js");
  const { Backoff } = await import("/static/parley/backoff.js");
  window.ends = [];
  window.states = [];
  window.counter = window.counter ?? 0;
  window.wallMs = window.wallMs ?? 1e6;
  window.uplink = new Uplink({
    url: address,
    keepS,
    pause,
    wall: () => window.wallMs,
    backoff: new Backoff({ firstMs: 60, mostMs: 120 }),
    onChange: ({ state }) => window.states.push(state),
    onClose: (why, message) => window.ends.push([why, message]),
  });
  // Each sample is its own number, so that the other end can tell what it got.
  window.speak = (frames) => {
    for (let i = 0; i < frames; i += 1) {
      const next = () => (window.counter++ % 30000) + 1;
      const pcm = Int16Array.from({ length: 480 }, next);
      window.wallMs += 30;
      window.uplink.push(pcm.buffer);
    }
  };
  window.uplink.open();
}
"""


class Speaker:
    """Somebody with an uplink in a page; `said` samples so far."""

    def __init__(self, page: Page, server: FakeServer) -> None:
        self.page = page
        self.server = server
        self.said = 0

    async def begin(self, *, keep_s: float = 30, pause: object = None) -> None:
        address = f"ws://{self.server.host}/session/{self.server.id}/audio?consent=true"
        asked = {"address": address, "keepS": keep_s, "pause": pause}
        await self.page.evaluate(BEGIN, asked)
        await self.page.wait_for_function("uplink.state === 'live'")

    async def speak(self, *, seconds: float) -> None:
        frames = round(seconds * 16_000 / FRAME)
        await self.page.evaluate("(frames) => speak(frames)", frames)
        self.said += frames * FRAME

    async def ends(self) -> list[list[str]]:
        found: list[list[str]] = await self.page.evaluate("window.ends")
        return found

    @property
    def stream(self) -> Stream:
        (stream,) = self.server.streams.values()
        return stream

    async def arrived(self) -> None:
        await until(lambda: len(self.stream.sound) >= 2 * self.said, what="all sound")


@pytest.fixture
def speaker(blank: Page, server: FakeServer) -> Speaker:
    return Speaker(blank, server)


def samples(stream: Stream) -> list[int]:
    return [int(s) for s in np.frombuffer(bytes(stream.sound), dtype="<i2")]


def counted(first: int, last: int) -> list[int]:
    return [n % 30_000 + 1 for n in range(first, last)]


async def test_it_sends_every_sample_once(speaker: Speaker) -> None:
    await speaker.begin()
    for _ in range(5):
        await speaker.speak(seconds=1.5)
    await speaker.arrived()
    assert samples(speaker.stream) == counted(0, speaker.said)
    assert speaker.stream.holes == []


async def test_it_drops_what_comes_before_the_server_is_ready(speaker: Speaker) -> None:
    """The stream's place in time is the arrival of its first sound."""
    speaker.server.unplug()
    address = (
        f"ws://{speaker.server.host}/session/{speaker.server.id}/audio?consent=true"
    )
    asked = {"address": address, "keepS": 30, "pause": None}
    await speaker.page.evaluate(BEGIN, asked)
    await speaker.page.evaluate("speak(10)")
    await speaker.page.wait_for_function("states.includes('waiting')")
    speaker.server.plug_in()
    await speaker.page.wait_for_function("uplink.state === 'live'")
    await speaker.page.evaluate("speak(1)")
    await until(lambda: len(speaker.stream.sound) == 960)
    assert samples(speaker.stream) == counted(4800, 5280)


async def test_it_goes_on_where_the_line_broke(speaker: Speaker) -> None:
    await speaker.begin()
    await speaker.speak(seconds=2)
    for _ in range(3):
        speaker.server.unplug()
        await speaker.speak(seconds=3)
        speaker.server.plug_in()
        await speaker.page.wait_for_function("uplink.state === 'live'")
        await speaker.speak(seconds=1)
    await speaker.arrived()
    assert samples(speaker.stream) == counted(0, speaker.said)
    assert speaker.stream.holes == []
    assert speaker.stream.connections >= 3  # the page may sleep through a break


async def test_it_sends_again_what_a_dead_server_forgot(speaker: Speaker) -> None:
    await speaker.begin()
    await speaker.speak(seconds=4)
    await speaker.arrived()
    speaker.stream.told = 2 * 16_000  # it wrote down one second of the four
    speaker.server.drop_audio()
    await speaker.speak(seconds=1)
    await until(lambda: speaker.stream.connections == 2)
    await speaker.arrived()
    assert samples(speaker.stream) == counted(0, speaker.said)


async def test_it_tells_the_hole_when_too_much_was_said(speaker: Speaker) -> None:
    await speaker.begin(keep_s=2)
    await speaker.speak(seconds=1)
    await speaker.arrived()
    speaker.server.unplug()
    await speaker.page.wait_for_function("uplink.state !== 'live'")
    await speaker.speak(seconds=4.5)
    lost_s = await speaker.page.evaluate("uplink.lostS")
    kept_s = await speaker.page.evaluate("uplink.keptS")
    speaker.server.plug_in()
    await speaker.page.wait_for_function("uplink.state === 'live'")
    await speaker.arrived()
    hole = speaker.said - 2 * 16_000 - 16_000 // FRAME * FRAME
    (at, length) = speaker.stream.holes[0]
    assert (at, length) == (2 * (16_000 // FRAME * FRAME), 2 * hole)
    assert (lost_s, kept_s) == (pytest.approx(hole / 16_000), 2)
    got = samples(speaker.stream)
    assert got[-2 * 16_000 :] == counted(speaker.said - 2 * 16_000, speaker.said)


async def test_it_holds_back_when_nobody_confirms(speaker: Speaker) -> None:
    speaker.server.acknowledge = False
    await speaker.begin()
    await speaker.speak(seconds=10)
    assert await speaker.page.evaluate("uplink.unconfirmed") < 100_000
    assert await speaker.page.evaluate("uplink.keptS") == pytest.approx(10, abs=0.05)


async def test_it_takes_up_a_line_that_fell_silent(speaker: Speaker) -> None:
    speaker.server.acknowledge = False
    await speaker.begin()
    await speaker.speak(seconds=1)
    speaker.server.acknowledge = True
    await speaker.page.evaluate(
        "uplink.now = ((now) => () => now() + 9000)(uplink.now); uplink.tick()"
    )
    await until(lambda: speaker.stream.connections == 2)
    await speaker.arrived()
    assert samples(speaker.stream) == counted(0, speaker.said)


async def test_it_sends_the_rest_before_it_stops(speaker: Speaker) -> None:
    await speaker.begin()
    await speaker.speak(seconds=1)
    speaker.server.unplug()
    await speaker.speak(seconds=5)
    await speaker.page.evaluate("uplink.stop()")
    speaker.server.plug_in()
    await until(lambda: speaker.stream.stopped)
    assert samples(speaker.stream) == counted(0, speaker.said)
    await speaker.page.wait_for_function("ends.length")
    assert await speaker.ends() == [["stopped", ""]]


async def test_it_stays_the_same_stream_over_a_pause(speaker: Speaker) -> None:
    await speaker.begin()
    await speaker.speak(seconds=1)
    await speaker.arrived()
    await speaker.page.evaluate("uplink.stop()")
    await speaker.page.wait_for_function("ends.length")
    await speaker.page.evaluate("wallMs += 60000")
    pause = await speaker.page.evaluate("uplink.continuation")
    first = speaker.said
    await speaker.begin(pause=pause)
    await speaker.speak(seconds=1)
    await until(lambda: bool(speaker.stream.holes))
    assert speaker.stream.holes == [(2 * first, 2 * 16_000 * 60)]
    await until(lambda: len(speaker.stream.sound) == 2 * (speaker.said + 16_000 * 60))
    assert samples(speaker.stream)[-first:] == counted(first, speaker.said)


@pytest.mark.parametrize(
    ("code", "why"), [(4010, "ended"), (4011, "replaced"), (4004, "refused")]
)
async def test_it_gives_up_when_the_server_says_so(
    speaker: Speaker, code: int, why: str
) -> None:
    await speaker.begin()
    await speaker.server.close_audio(code, "because")
    await speaker.page.wait_for_function("ends.length")
    assert await speaker.ends() == [[why, "because"]]
    assert await speaker.page.evaluate("uplink.state") == "closed"


async def test_it_comes_back_after_a_restart(speaker: Speaker) -> None:
    await speaker.begin()
    await speaker.speak(seconds=1)
    await speaker.arrived()
    await speaker.server.close_audio(1012, "restarting")
    await speaker.speak(seconds=1)
    await until(lambda: speaker.stream.connections == 2)
    await speaker.arrived()
    assert samples(speaker.stream) == counted(0, speaker.said)
