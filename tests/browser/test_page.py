"""The session page in a browser, with a server whose weather is on a script."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest
from browser.conftest import NewPage
from browser.fake_server import FakeServer
from browser.waiting import speak, until
from playwright.async_api import Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Chromium runs no wake lock without a screen: count what the page asks for.
STUBS = """
window.locks = { held: 0, asked: 0 };
Object.defineProperty(navigator, "wakeLock", { value: {
  async request() {
    window.locks.asked += 1;
    window.locks.held += 1;
    const lock = new EventTarget();
    lock.release = async () => {
      window.locks.held -= 1;
      lock.dispatchEvent(new Event("release"));
    };
    return lock;
  },
}});
window.setHidden = (hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
};
"""


async def opened(server: FakeServer, new_page: NewPage, **options: Any) -> Page:
    page = await new_page(**options)
    await page.add_init_script(STUBS)
    await page.goto(server.page)
    return page


async def locks(page: Page) -> int:
    held: int = await page.evaluate("locks.held")
    return held


async def lines(page: Page) -> list[str]:
    return await page.locator(".line .words").all_inner_texts()


async def test_it_shows_what_was_said_and_what_comes(
    server: FakeServer, new_page: NewPage
) -> None:
    alice = server.join("Alice")
    server.say(alice, "hello team", at_s=1)
    page = await opened(server, new_page)
    await expect(page.locator(".words")).to_have_text(["hello team"])
    ben = server.join("Ben")
    server.say(ben, "good morning", at_s=5)
    server.say(alice, "between the two", at_s=3)
    await expect(page.locator(".words")).to_have_text(
        ["hello team", "between the two", "good morning"]
    )
    await expect(page.locator(".person .name")).to_have_text(["Alice", "Ben"])
    server.leave(ben)
    await expect(page.locator(".person .name")).to_have_text(["Alice"])


async def test_it_replaces_grey_words_by_the_final_ones(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await opened(server, new_page)
    await until(lambda: server.followers)
    alice, line = server.join("Alice"), str(uuid.uuid4())
    server.mumble(alice, "open the pl", at_s=1, line=line, rev=1, stable=0)
    server.mumble(alice, "open the plan", at_s=1, line=line, rev=2, stable=8)
    await expect(page.locator(".partial .firm")).to_have_text("open the")
    await expect(page.locator(".partial .tail")).to_have_text("plan")
    server.say(alice, "Open the plan.", at_s=1, line=line)
    await expect(page.locator(".line")).to_have_count(1)
    await expect(page.locator(".words")).to_have_text("Open the plan.")
    await expect(page.locator(".partial")).to_have_count(0)
    server.mumble(alice, "open", at_s=1, line=line, rev=3, stable=0)
    server.tell(
        "tone",
        participant=alice,
        label="calm",
        confidence=0.9,
        start_ms=1000,
        end_ms=2000,
        mock=True,
    )
    await expect(page.locator(".tone.mock")).to_have_text("calm")
    await expect(page.locator(".partial")).to_have_count(0)


async def test_it_reads_new_lines_aloud_but_not_history(
    server: FakeServer, new_page: NewPage
) -> None:
    alice = server.join("Alice")
    server.say(alice, "old words", at_s=1)
    page = await opened(server, new_page)
    await expect(page.locator(".words")).to_have_text(["old words"])
    server.say(alice, "new words", at_s=5)
    await expect(page.get_by_role("log")).to_have_text("Alice: new words")


async def test_it_closes_the_stream_while_nobody_looks(
    server: FakeServer, new_page: NewPage
) -> None:
    alice = server.join("Alice")
    page = await opened(server, new_page)
    await until(lambda: server.followers == 1)
    await page.wait_for_function("locks.held === 1")
    await page.evaluate("setHidden(true)")
    await until(lambda: server.followers == 0)
    assert await locks(page) == 0
    server.say(alice, "while you were away", at_s=3)
    reads = server.reads
    await page.evaluate("setHidden(false)")
    await expect(page.locator(".words")).to_have_text(["while you were away"])
    assert server.reads == reads + 1
    assert server.replayed_after == [0, 1]
    assert await locks(page) == 1
    assert await page.evaluate("locks.asked") == 2


@pytest.mark.parametrize("gone", [True, False])
async def test_it_says_so_when_the_session_timed_out_meanwhile(
    server: FakeServer, new_page: NewPage, gone: bool
) -> None:
    page = await opened(server, new_page)
    await until(lambda: server.followers == 1)
    await page.evaluate("setHidden(true)")
    await until(lambda: server.followers == 0)
    if gone:
        server.exists = False
    else:
        server.end("idle")
    await page.evaluate("setHidden(false)")
    await expect(page.get_by_role("heading", name="Session timed out")).to_be_visible()
    await expect(page.get_by_role("button", name="Speak")).to_be_hidden()
    assert await locks(page) == 0


async def test_it_comes_back_by_itself(server: FakeServer, new_page: NewPage) -> None:
    alice = server.join("Alice")
    page = await opened(server, new_page)
    await until(lambda: server.followers == 1)
    server.unplug()
    await expect(page.get_by_text("Connection lost.")).to_be_visible()
    assert await locks(page) == 0
    server.say(alice, "said meanwhile", at_s=2)
    server.plug_in()
    await expect(page.locator(".words")).to_have_text(
        ["said meanwhile"], timeout=15_000
    )
    await expect(page.get_by_text("Connection lost.")).to_be_hidden()
    assert await locks(page) == 1


# A browser that will not run a context at 48 kHz, as some do with some microphones.
STUBBORN = """
const Context = window.AudioContext;
window.AudioContext = class extends Context {
  constructor(options) {
    if (options.sampleRate) throw new DOMException("no", "NotSupportedError");
    super({ ...options, sampleRate: 44100 });
  }
};
"""


@pytest.mark.parametrize("browser_is", ["willing", "stubborn"])
async def test_it_sends_the_microphone_at_its_right_pitch(
    server: FakeServer, new_page: NewPage, browser_is: str
) -> None:
    page = await new_page(permissions=["microphone"])
    if browser_is == "stubborn":
        await page.add_init_script(STUBBORN)
    await page.goto(server.page)
    await expect(page.get_by_text("What you say is written down")).to_be_visible()
    assert server.streams == {}  # not a sample before the button
    await speak(page)
    await until(lambda: server.speakers == 1)
    (stream,) = server.streams.values()
    await until(lambda: len(stream.sound) > 2 * 24_000)
    sound = np.frombuffer(bytes(stream.sound[: 2 * 24_000]), dtype="<i2")[8_000:]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(16_000)))
    assert abs(int(np.argmax(spectrum)) - 1000) <= 2


async def test_it_stays_the_same_person_over_a_pause(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await new_page(permissions=["microphone"])
    await page.goto(server.page)
    await page.get_by_label("Your name").fill("Zoë")
    for _ in range(2):
        await speak(page)
        await expect(page.get_by_text("You are heard.")).to_be_visible()
        (stream,) = server.streams.values()
        heard = len(stream.sound)
        await until(lambda: len(stream.sound) > heard + 8_000)  # noqa: B023
        await page.get_by_role("button", name="Stop", exact=True).click()
        await until(lambda: stream.stopped)  # noqa: B023
    assert stream.name == "Zoë"
    assert len(stream.holes) == 1
    assert await page.evaluate("localStorage.getItem('parley.name')") == "Zoë"


async def test_it_keeps_what_is_said_while_the_line_is_down(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await opened(server, new_page, permissions=["microphone"])
    await speak(page)
    await expect(page.get_by_text("You are heard.")).to_be_visible()
    (stream,) = server.streams.values()
    server.unplug()
    await expect(page.get_by_text("kept, sent when the connection")).to_be_visible()
    server.plug_in()
    await expect(page.get_by_text("You are heard.")).to_be_visible(timeout=20_000)
    heard = len(stream.sound)
    await until(lambda: len(stream.sound) > heard + 32_000)
    assert stream.holes == []


async def test_it_goes_on_hearing_while_the_page_is_hidden(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await opened(server, new_page, permissions=["microphone"])
    await speak(page)
    await until(lambda: server.speakers == 1)
    (stream,) = server.streams.values()
    await page.evaluate("setHidden(true)")
    heard = len(stream.sound)
    await until(lambda: len(stream.sound) > heard + 32_000)
    assert server.speakers == 1


async def test_it_stops_listening_when_the_session_ends(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await opened(server, new_page, permissions=["microphone"])
    await speak(page)
    await until(lambda: server.speakers == 1)
    await page.get_by_role("button", name="End").click()
    await page.get_by_role("button", name="End session").click()
    heading = page.get_by_role("heading", name="This session has ended")
    await expect(heading).to_be_visible()
    await until(lambda: server.speakers == 0)


async def test_it_lets_go_when_the_page_is_left(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await opened(server, new_page, permissions=["microphone"])
    await speak(page)
    await until(lambda: server.speakers == 1)
    await page.goto(f"{server.url}/blank")
    await until(lambda: server.speakers == server.followers == 0)


async def test_it_stays_off_a_finished_session(
    server: FakeServer, new_page: NewPage
) -> None:
    """Its lines are shown once; nothing is followed, nobody kept awake."""
    alice = server.join("Alice")
    server.say(alice, "the last words", at_s=1)
    server.end("requested", state="ready")
    page = await opened(server, new_page)
    await expect(page.locator(".words")).to_have_text(["the last words"])
    heading = page.get_by_role("heading", name="This session has ended")
    await expect(heading).to_be_visible()
    await until(lambda: server.followers == 0)
    assert await page.evaluate("locks.asked") == 0


async def test_it_says_when_the_microphone_is_unplugged(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await new_page(permissions=["microphone"])
    await page.add_init_script(
        "const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia ="
        " async (what) => window.mic = await get(what);"
    )
    await page.goto(server.page)
    await speak(page)
    await until(lambda: server.speakers == 1)
    await page.evaluate("mic.getTracks()[0].dispatchEvent(new Event('ended'))")
    await expect(page.get_by_text("The microphone has gone.")).to_be_visible()
    await until(lambda: server.speakers == 0)
    await expect(page.get_by_role("button", name="Speak")).to_be_enabled()


async def test_it_says_why_it_cannot_hear(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await new_page()
    await page.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () => {"
        " throw new DOMException('no', 'NotAllowedError'); }"
    )
    await page.goto(server.page)
    await speak(page)
    hint = page.get_by_text("The browser may not use the microphone.")
    await expect(hint).to_be_visible()
    await expect(page.get_by_role("button", name="Speak")).to_be_enabled()
    assert server.streams == {}


async def test_it_tells_how_the_text_is_doing(
    server: FakeServer, new_page: NewPage
) -> None:
    page = await opened(server, new_page)
    await until(lambda: server.followers == 1)
    server.think(demo=True, behind_s=12.4)
    await expect(page.get_by_text("Demo model")).to_be_visible()
    await expect(page.get_by_text("The text is 10 seconds behind.")).to_be_visible()
    server.think(state="missing", behind_s=0, message="data/models/small is empty.")
    missing = page.get_by_text("Speech model missing: data/models/small is empty.")
    await expect(missing).to_be_visible()
    server.think(state="ready", demo=False, message="")
    await expect(page.locator(".banner")).to_have_count(0)
    await expect(page.get_by_text("Demo model")).to_be_hidden()


async def test_it_stays_smooth_with_thousands_of_lines(
    server: FakeServer, new_page: NewPage
) -> None:
    people = [server.join(name) for name in ("Alice", "Ben", "Chen")]
    for n in range(3000):
        server.say(people[n // 4 % 3], f"line {n} of a long talk", at_s=4 * n)
    page = await opened(server, new_page)
    await expect(page.locator(".line")).to_have_count(3000, timeout=20_000)
    last = page.locator(".line").last
    await expect(last).to_be_in_viewport()
    took_ms = await page.evaluate(
        """async () => {
          const scroller = document.querySelector("[data-part=scroller]");
          const start = performance.now();
          for (let i = 0; i < 20; i += 1) {
            scroller.scrollTop = Math.random() * scroller.scrollHeight;
            await new Promise(requestAnimationFrame);
          }
          return performance.now() - start;
        }"""
    )
    assert took_ms < 4000  # 20 frames, on a machine busy with other things
    await page.evaluate("document.querySelector('[data-part=scroller]').scrollTop = 0")
    jump = page.get_by_role("button", name="Jump to live")
    await expect(jump).to_be_visible()
    server.say(people[0], "the newest", at_s=12_100)
    await expect(jump).to_have_text("Jump to live · 1 new line")
    await jump.click()
    await expect(page.get_by_text("the newest", exact=True)).to_be_in_viewport()
    await expect(jump).to_be_hidden()


async def test_it_works_by_keyboard(server: FakeServer, new_page: NewPage) -> None:
    page = await opened(server, new_page)
    await until(lambda: server.followers == 1)
    await page.locator("summary").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name="Subtitles .srt")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name="Subtitles .srt")).to_be_hidden()
    await expect(page.locator("summary")).to_be_focused()
