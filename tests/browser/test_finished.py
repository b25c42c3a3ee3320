"""The page of a finished session in a browser: heard, read, corrected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from browser.access import check_access
from browser.conftest import NewPage
from browser.fake_finished import FakeFinished
from browser.test_screens import TALK, shoot
from playwright.async_api import Page, expect

pytestmark = pytest.mark.asyncio(loop_scope="session")

TIME = "() => parley.transport.time"
DRIFTS = "() => parley.transport.drifts()"
MUTED = """() => [...document.querySelectorAll(".sounds audio")]
  .map((one) => one.muted)"""


@pytest_asyncio.fixture(loop_scope="session")
async def talk() -> AsyncIterator[FakeFinished]:
    """Four people, seven lines in a minute."""
    fake = FakeFinished()
    people: dict[str, str] = {}
    for at, (name, text) in enumerate(TALK):
        if name not in people:
            people[name] = fake.join(name)
        fake.say(people[name], text, at_s=1 + 8 * at)
    await fake.start()
    yield fake
    await fake.close()


async def opened(
    talk: FakeFinished, new_page: NewPage, tail: str = "", **options: Any
) -> Page:
    page = await new_page(viewport={"width": 1280, "height": 860}, **options)
    await page.goto(f"{talk.page}{tail}")
    await expect(page.locator(".line").first).to_be_visible()
    return page


async def time_of(page: Page) -> float:
    ms: float = await page.evaluate(TIME)
    return ms


async def playing(page: Page) -> None:
    await page.get_by_role("button", name="Play", exact=True).click()
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    goes_on = "(before) => parley.transport.time > before + 300"
    await page.wait_for_function(goes_on, arg=await time_of(page))


async def test_it_shows_who_spoke_and_what_was_said(
    talk: FakeFinished, new_page: NewPage
) -> None:
    talk.note("The plan", at_s=9)
    talk.sounds(1, "calm")
    page = await opened(talk, new_page)
    await expect(page.locator(".lane")).to_have_count(4)
    await expect(page.locator(".tone")).to_have_text("calm")
    await expect(page.locator(".line")).to_have_count(len(TALK))
    await expect(page.get_by_text("4 voices")).to_be_visible()
    await expect(page.locator(".bookmark")).to_contain_text("The plan")
    await shoot(page, "finished")


async def test_it_plays_and_the_words_follow(
    talk: FakeFinished, new_page: NewPage
) -> None:
    page = await opened(talk, new_page)
    await playing(page)
    await expect(page.locator(".line.now")).to_contain_text("Good morning")
    await expect(page.locator(".saying")).to_have_count(1)
    await expect(page.locator(".line.now .past").first).to_be_attached()
    tops = "(line) => new Set([...line.querySelectorAll('.w')].map((w) => w.offsetTop))"
    rows = f"(line) => ({tops})(line).size"
    assert await page.locator(".line.now").evaluate(rows) == 1, "the words fall apart"
    await expect(page.locator(".sounds audio")).to_have_count(1)  # the master alone
    await page.get_by_role("button", name="Pause").click()
    stands = await time_of(page)
    await asyncio.sleep(0.3)
    assert await time_of(page) == stands


async def test_a_click_on_a_word_goes_there(
    talk: FakeFinished, new_page: NewPage
) -> None:
    page = await opened(talk, new_page)
    await page.locator(".line").nth(2).locator(".w").nth(3).click()
    assert await time_of(page) == pytest.approx(17_000 + 900, abs=1)


@pytest.mark.alone
async def test_a_voice_that_is_muted_is_silent_and_the_rest_stay_together(
    talk: FakeFinished, new_page: NewPage
) -> None:
    page = await opened(talk, new_page)
    await page.get_by_role("button", name="Mute Ben").click()
    await playing(page)
    muted = (
        "() => [...document.querySelectorAll('.sounds audio')].map((one) => one.muted)"
    )
    assert sorted(await page.evaluate(muted)) == [False, False, False, True]
    drifts: list[float] = []
    for _ in range(20):
        await asyncio.sleep(0.1)
        drifts += await page.evaluate(DRIFTS)
    assert len(drifts) >= 40
    assert max(map(abs, drifts[len(drifts) // 2 :])) < 50


async def test_only_one_is_heard_alone(talk: FakeFinished, new_page: NewPage) -> None:
    page = await opened(talk, new_page)
    await page.get_by_role("button", name="Hear only Ben").click()
    await expect(page.locator(".lane.unheard")).to_have_count(3)
    await page.get_by_role("button", name="Hear only Ben").click()
    await expect(page.locator(".lane.unheard")).to_have_count(0)


async def test_speed_is_the_sounds_own(talk: FakeFinished, new_page: NewPage) -> None:
    page = await opened(talk, new_page)
    await page.get_by_label("Speed").select_option("2")
    await playing(page)
    rate = "() => document.querySelector('.sounds audio').playbackRate"
    assert await page.evaluate(rate) == 2


async def test_it_is_played_by_keyboard(talk: FakeFinished, new_page: NewPage) -> None:
    page = await opened(talk, new_page)
    for keys, at_s in (
        (["ArrowRight", "ArrowRight"], 10),
        (["ArrowLeft"], 5),
        (["Shift+ArrowRight"], 35),
        (["j"], 25),
        (["l"], 35),
        (["ArrowUp"], 33),
        (["ArrowDown"], 41),
    ):
        for key in keys:
            await page.keyboard.press(key)
        assert await time_of(page) == pytest.approx(at_s * 1000, abs=1), keys
    await page.keyboard.press("Space")
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    await page.keyboard.press("k")
    await expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    await page.keyboard.press("?")
    await expect(page.get_by_role("heading", name="Keyboard")).to_be_visible()


async def test_keys_do_nothing_while_somebody_writes(
    talk: FakeFinished, new_page: NewPage
) -> None:
    page = await opened(talk, new_page)
    await page.keyboard.press("/")
    await page.keyboard.type("jkl budget")
    assert await time_of(page) == 0
    assert await page.locator("#find").input_value() == "jkl budget"


async def test_it_finds_what_is_not_drawn(
    talk: FakeFinished, new_page: NewPage
) -> None:
    page = await opened(talk, new_page)
    await page.keyboard.press("/")
    await page.keyboard.type("REVIEW")
    await expect(page.locator(".line.sought")).to_contain_text("the review of")
    await expect(page.get_by_text("1 of 1")).to_be_visible()


async def test_it_stops_following_who_scrolls_away(
    new_page: NewPage, long_talk: FakeFinished
) -> None:
    page = await opened(long_talk, new_page)
    await playing(page)
    await page.mouse.move(600, 500)
    await page.mouse.wheel(0, 4000)
    jump = page.get_by_role("button", name="Jump to now")
    await expect(jump).to_be_visible()
    follow = page.get_by_role("button", name="Follow")
    await expect(follow).to_have_attribute("aria-pressed", "false")
    await jump.click()
    await expect(follow).to_have_attribute("aria-pressed", "true")
    await expect(page.locator(".line.now")).to_be_in_viewport()


@pytest_asyncio.fixture(loop_scope="session")
async def long_talk() -> AsyncIterator[FakeFinished]:
    """Ten hours, 12,000 lines."""
    fake = FakeFinished(seconds=36_000)
    fake.sound = "there"
    ada, ben = fake.join("Ada"), fake.join("Ben")
    for n in range(12_000):
        person = ada if n % 5 else ben
        fake.say(person, f"This is line number {n} of a very long day", at_s=3 * n)
    await fake.start()
    yield fake
    await fake.close()


async def test_ten_hours_are_read_smoothly(
    new_page: NewPage, long_talk: FakeFinished
) -> None:
    sought = long_talk.lines[9_000]["id"]
    page = await opened(long_talk, new_page, f"#u-{sought}")
    line = page.locator(".line.sought")
    await expect(line).to_contain_text("line number 9000 of", timeout=20_000)
    await expect(line).to_be_in_viewport()
    assert await time_of(page) == pytest.approx(27_000_000, abs=1)
    drawn = await page.locator(".line").count()
    assert drawn < 600
    slow = await page.evaluate(SCROLL)
    assert slow["drawn"] < 600
    assert slow["blank"] == 0


SCROLL = """async () => {
  const view = document.querySelector("[data-part=scroller]");
  let blank = 0;
  for (let step = 0; step < 40; step += 1) {
    view.scrollTop -= 600;
    await new Promise((done) => setTimeout(done, 30));
    const box = view.getBoundingClientRect();
    const middle = document.elementFromPoint(box.left + box.width / 2, box.top + 300);
    if (!middle.closest(".line, .block")?.textContent) blank += 1;
  }
  return { blank, drawn: document.querySelectorAll(".line").length };
}"""


async def test_a_link_leads_to_a_second(talk: FakeFinished, new_page: NewPage) -> None:
    page = await opened(talk, new_page, "?t=42")
    assert await time_of(page) == 42_000
    await expect(page.locator("[data-part=at]")).to_have_text("0:42")


async def test_a_line_is_corrected_in_its_place(
    talk: FakeFinished, new_page: NewPage
) -> None:
    page = await opened(talk, new_page)
    line = page.locator(".line").nth(1)
    await line.locator(".words").dblclick()
    field = page.get_by_label("What Ben said")
    await field.fill("")
    await field.press("Enter")
    await expect(page.get_by_text("A line cannot be empty")).to_be_visible()
    await field.fill("Yes, please. The budget is done.")
    await field.press("Enter")
    await expect(line).to_contain_text("The budget is done.")
    assert talk.lines[1]["text"] == "Yes, please. The budget is done."
    await line.get_by_role("button", name="Corrected").click()
    await expect(line.locator(".history")).to_contain_text("The report is done")
    await expect(line.locator(".history")).to_contain_text("Corrected by ada")


async def test_escape_leaves_a_line_as_it_was(
    talk: FakeFinished, new_page: NewPage
) -> None:
    page = await opened(talk, new_page)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("e")
    await page.get_by_label("What Ben said").fill("Nothing of the kind")
    await page.keyboard.press("Escape")
    await expect(page.locator(".line").nth(1)).to_contain_text("Yes, please.")
    assert talk.asked == []


async def test_a_refusal_is_told_and_nothing_is_lost(
    talk: FakeFinished, new_page: NewPage
) -> None:
    page = await opened(talk, new_page)
    talk.refuse("Somebody else corrects this session.")
    await page.locator(".line .words").first.dblclick()
    field = page.get_by_label("What Alice Moreau said")
    await field.fill("My words")
    await field.press("Enter")
    await expect(page.get_by_text("Somebody else corrects")).to_be_visible()
    await expect(field).to_have_value("My words")


async def test_a_voice_is_renamed(talk: FakeFinished, new_page: NewPage) -> None:
    page = await opened(talk, new_page)
    await page.get_by_label("More about Ben").click()
    await page.get_by_role("button", name="Rename").click()
    await page.get_by_label("Name", exact=True).fill("Benjamin")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".lane .name").nth(1)).to_have_text("Benjamin")
    await expect(page.locator(".line .who .name").nth(1)).to_have_text("Benjamin")


async def test_two_voices_become_one(talk: FakeFinished, new_page: NewPage) -> None:
    page = await opened(talk, new_page)
    await page.get_by_label("More about Zoë").click()
    await page.get_by_role("button", name="Same person as").click()
    await page.get_by_label("The same person as").select_option(label="Ben")
    await page.get_by_role("button", name="Merge").click()
    await expect(page.locator(".lane")).to_have_count(3)
    await expect(page.locator(".line .who .name", has_text="Zoë")).to_have_count(0)


async def test_a_moment_is_bookmarked(talk: FakeFinished, new_page: NewPage) -> None:
    page = await opened(talk, new_page, "?t=12")
    await page.keyboard.press("b")
    await page.keyboard.type("Ask the project team")
    await page.keyboard.press("Enter")
    note = page.locator(".bookmark")
    await expect(note).to_contain_text("Ask the project team")
    assert talk.bookmarks[0]["at_ms"] == 12_000
    await expect(page.locator(".marks span")).to_have_count(1)
    await note.get_by_label("Change this note").click()
    await note.get_by_label("Note at 0:12").fill("Call them")
    await page.keyboard.press("Enter")
    await expect(note).to_contain_text("Call them")
    await note.get_by_label("Delete this bookmark").click()
    await expect(note).to_have_count(0)


async def test_it_is_shared_and_taken_back(
    talk: FakeFinished, new_page: NewPage
) -> None:
    page = await opened(talk, new_page)
    await page.get_by_role("button", name="Share").click()
    await page.get_by_label("Open for").select_option("30")
    await page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("Link", exact=True)
    await expect(link).to_have_value(f"http://{talk.host}/shared/link-1")
    await expect(page.get_by_text("Open until")).to_contain_text("3")
    await page.get_by_role("button", name="Revoke").click()
    await expect(link).to_have_count(0)
    assert talk.shares == []


async def test_a_guest_reads_and_changes_nothing(
    talk: FakeFinished, new_page: NewPage
) -> None:
    talk.read_only = True
    page = await opened(talk, new_page)
    await page.locator(".line .words").first.dblclick()
    await page.keyboard.press("e")
    await page.keyboard.press("b")
    await expect(page.locator("textarea")).to_have_count(0)
    await expect(page.get_by_role("button", name="Share")).to_have_count(0)
    await expect(page.get_by_label("Correct this line")).to_have_count(0)
    await expect(page.get_by_role("link", name="Parley")).to_have_count(0)
    assert talk.asked == []


async def test_words_stand_alone_without_sound(
    talk: FakeFinished, new_page: NewPage
) -> None:
    talk.sound = "never"
    page = await opened(talk, new_page)
    await expect(page.get_by_text("was not recorded")).to_be_visible()
    await expect(page.locator(".player")).to_be_hidden()
    await expect(page.locator(".voices")).to_be_hidden()


async def test_it_works_on_a_phone(talk: FakeFinished, new_page: NewPage) -> None:
    page = await new_page(viewport={"width": 390, "height": 844})
    await page.goto(talk.page)
    await expect(page.locator(".line").first).to_be_visible()
    wide = "() => document.documentElement.scrollWidth - innerWidth"
    assert await page.evaluate(wide) <= 0
    await playing(page)
    await expect(page.locator(".line.now")).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nobody_is_shut_out(
    talk: FakeFinished, new_page: NewPage, scheme: Any
) -> None:
    """axe finds nothing serious, however the page stands."""
    talk.note("The plan", at_s=9)
    # axe itself sets inline styles.
    page = await opened(talk, new_page, color_scheme=scheme, bypass_csp=True)
    await check_access(page)
    await page.locator(".line .words").first.dblclick()
    await check_access(page)
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Share").click()
    await check_access(page)
