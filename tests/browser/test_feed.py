"""The event stream and the order of lines: nothing twice, nothing missed."""

from __future__ import annotations

from typing import Any

import pytest
from browser.fake_server import FakeServer
from browser.waiting import until
from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

FOLLOW = """
async ({ address, alive }) => {
  const { Feed } = await import("/static/parley/feed.js");
  const { Backoff } = await import("/static/parley/backoff.js");
  window.seen = [];
  window.checks = 0;
  window.feed = new Feed({
    url: address,
    onEvent: (event) => window.seen.push(event.seq ?? event.type),
    check: async () => { window.checks += 1; return alive; },
    backoff: new Backoff({ firstMs: 40, mostMs: 80 }),
  });
  window.feed.open();
}
"""


async def follow(page: Page, server: FakeServer, *, alive: bool = True) -> None:
    address = f"{server.url}/api/sessions/{server.id}/events"
    await page.evaluate(FOLLOW, {"address": address, "alive": alive})
    await until(lambda: server.followers == 1)


async def seen(page: Page, count: int) -> list[Any]:
    await page.wait_for_function("(count) => seen.length >= count", arg=count)
    found: list[Any] = await page.evaluate("seen")
    return found


async def test_it_misses_and_repeats_nothing(blank: Page, server: FakeServer) -> None:
    for _ in range(5):
        server.tell("notice", code="x", message="")
    await follow(blank, server)
    for _ in range(10):
        await until(lambda: server.followers == 1)
        server.drop_feeds()
        server.tell("notice", code="x", message="")
    assert await seen(blank, 15) == list(range(1, 16))


async def test_it_drops_what_a_server_repeats(blank: Page, server: FakeServer) -> None:
    await follow(blank, server)
    for _ in range(3):
        server.tell("notice", code="x", message="")
    for event in list(server.events):
        server.flash(event)
    server.flash({"type": "speech", "state": "ready"})
    assert await seen(blank, 4) == [1, 2, 3, "speech"]


async def test_it_takes_up_where_it_was(blank: Page, server: FakeServer) -> None:
    server.tell("notice", code="x", message="")
    await follow(blank, server)
    await seen(blank, 1)
    await blank.evaluate("feed.close()")
    await until(lambda: server.followers == 0)
    server.tell("notice", code="x", message="")
    await blank.evaluate("feed.open()")
    assert await seen(blank, 2) == [1, 2]
    assert server.replayed_after == [0, 1]


async def test_it_stops_when_there_is_nothing_more(
    blank: Page, server: FakeServer
) -> None:
    await follow(blank, server, alive=False)
    server.drop_feeds()
    await blank.wait_for_function("feed.state === 'closed'")
    assert await blank.evaluate("checks") == 1
    assert len(server.replayed_after) == 1


async def test_it_keeps_the_newest_words_of_a_line(blank: Page) -> None:
    """Partials rise by rev, a final ends them, late ones are dropped."""
    kept = await blank.evaluate(
        """async () => {
          const { Lines } = await import("/static/parley/lines.js");
          const lines = new Lines();
          const say = (type, id, start, text, rev) => lines.take(
            { type, id, participant: "p", name: "A", start_ms: start, end_ms: start + 9,
              text, rev, stable: 0 });
          const taken = [
            say("partial", "b", 50, "two", 2),
            say("partial", "b", 50, "one", 1),
            say("partial", "b", 50, "two again", 2),
            say("utterance", "a", 90, "later"),
            say("utterance", "b", 40, "final"),
            say("partial", "b", 50, "too late", 9),
            say("utterance", "c", 10, "earlier"),
          ].map(Boolean);
          return { taken, text: lines.sorted.map((line) => line.text) };
        }"""
    )
    assert kept["taken"] == [True, False, False, True, True, False, True]
    assert kept["text"] == ["earlier", "final", "later"]


async def test_it_names_the_tone_that_weighs_most(blank: Page) -> None:
    label = await blank.evaluate(
        """async () => {
          const { Tones } = await import("/static/parley/tones.js");
          const tones = new Tones();
          const hear = (label, start, confidence) => tones.take(
            { participant: "p", label, confidence, start_ms: start,
              end_ms: start + 1000 });
          hear("calm", 0, 0.9);
          hear("happy", 1000, 0.6);
          hear("happy", 2000, 0.6);
          hear("angry", 9000, 1);
          return [tones.of("p", 0, 3000).label, tones.of("p", 0, 900).label,
                  tones.of("q", 0, 9000)];
        }"""
    )
    assert label == ["happy", "calm", None]


async def test_it_gives_people_faces(blank: Page) -> None:
    found = await blank.evaluate(
        """async () => {
          const { Speakers, initials } = await import("/static/parley/speakers.js");
          const { position } = await import("/static/parley/clock.js");
          const speakers = new Speakers();
          return [
            ["Ada Lovelace", "zoë", "", "  Jean  Luc  Picard "].map(initials),
            [["1", "Ada"], ["2", "Ben"], ["3", "Ada"], ["1", "Ada"]]
              .map(([id, name]) => speakers.slot(id, name)),
            [0, 65000, 3665000].map(position),
          ];
        }"""
    )
    assert found == [
        ["AL", "Z", "?", "JP"],
        [0, 1, 0, 0],
        ["0:00", "1:05", "1:01:05"],
    ]
