"""The mirror, with a clock and a channel of its own."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import discord
import pytest
from mirroring import Channel, Time, a_line, closed, mirrored, refusal, settled
from structlog.testing import capture_logs

from bot.discord.text.mirror import CLOSE_S, EVERY_S, PAGE_S, REQUEST_S

LIMIT = 2000


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def channel(time: Time) -> Channel:
    return Channel(time)


# its pace


async def test_the_first_line_is_posted_at_once(channel: Channel, time: Time) -> None:
    async with mirrored(channel, time) as mirror:
        mirror.put(a_line(1, "Good day."))
        await settled()
        assert channel.shown == ["**Ann**: Good day."]
        assert channel.times == [time.now]


async def test_what_gathers_meanwhile_goes_into_the_same_message(
    channel: Channel, time: Time
) -> None:
    async with mirrored(channel, time) as mirror:
        for seq in (1, 2, 3):
            mirror.put(a_line(seq))
            await settled()
        await time.passes(EVERY_S - 0.1)
        assert channel.verbs == ["send"]
        await time.passes(0.2)
        assert channel.verbs == ["send", "edit"]
        assert channel.shown == ["**Ann**: no 1\n**Ann**: no 2\n**Ann**: no 3"]


async def test_however_fast_they_speak_requests_keep_their_distance(
    channel: Channel, time: Time
) -> None:
    async with mirrored(channel, time) as mirror:
        for seq in range(1, 201):
            mirror.put(a_line(seq))
            await time.passes(0.07)
        await time.passes(EVERY_S)
        gaps = [b - a for a, b in itertools.pairwise(channel.times)]
        assert min(gaps) >= EVERY_S - 1e-6
        assert len(channel.lines) == 200


async def test_after_a_silence_nobody_waits(channel: Channel, time: Time) -> None:
    async with mirrored(channel, time) as mirror:
        mirror.put(a_line(1))
        await time.passes(60)
        mirror.put(a_line(2))
        await settled()
        assert channel.lines == ["**Ann**: no 1", "**Ann**: no 2"]


# what stands there


async def test_a_batch_is_in_the_order_in_which_it_was_said(
    channel: Channel, time: Time
) -> None:
    async with mirrored(channel, time) as mirror:
        mirror.put(a_line(1, "third", at_ms=3000))
        mirror.put(a_line(2, "first", at_ms=1000))
        mirror.put(a_line(3, "second", name="Bob", at_ms=2000))
        await settled()
        assert channel.lines == [
            "**Ann**: first",
            "**Bob**: second",
            "**Ann**: third",
        ]


async def test_a_full_message_is_followed_by_a_new_one(
    channel: Channel, time: Time
) -> None:
    async with mirrored(channel, time) as mirror:
        for seq in range(1, 101):
            mirror.put(a_line(seq, f"{seq} " + "word " * 20))
        await time.passes(20 * EVERY_S)
        assert len(channel.messages) > 5
        assert all(len(content) <= LIMIT for content in channel.shown)
        numbers = [int(line.split()[1]) for line in channel.lines]
        assert numbers == list(range(1, 101))


async def test_signs_outside_the_first_plane_count_twice(
    channel: Channel, time: Time
) -> None:
    async with mirrored(channel, time) as mirror:
        for seq in range(1, 9):
            mirror.put(a_line(seq, "🎙" * 400))
        await time.passes(20 * EVERY_S)
        assert max(len(c.encode("utf-16-le")) // 2 for c in channel.shown) <= LIMIT


async def test_a_line_too_long_for_a_message_is_cut_and_none_of_it_lost(
    channel: Channel, time: Time
) -> None:
    words = [f"word_{number}" for number in range(1000)]
    async with mirrored(channel, time) as mirror:
        mirror.put(a_line(1, " ".join(words)))
        await time.passes(30 * EVERY_S)
        assert all(len(content) <= LIMIT for content in channel.shown)
        said = " ".join(line.removeprefix("**Ann**: ") for line in channel.lines)
        assert said.replace("\\", "").split() == words


async def test_below_what_others_wrote_a_new_message_begins(
    channel: Channel, time: Time
) -> None:
    async with mirrored(channel, time) as mirror:
        mirror.put(a_line(1))
        await time.passes(EVERY_S)
        channel.somebody_writes()
        mirror.put(a_line(2))
        await time.passes(EVERY_S)
        mirror.put(a_line(3))
        await time.passes(EVERY_S)
        assert channel.shown == ["**Ann**: no 1", "**Ann**: no 2\n**Ann**: no 3"]


async def test_an_old_message_is_left_alone(channel: Channel, time: Time) -> None:
    async with mirrored(channel, time) as mirror:
        mirror.put(a_line(1))
        await time.passes(PAGE_S)
        mirror.put(a_line(2))
        await settled()
        assert channel.verbs == ["send", "send"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("*bold* _and_ `code`", r"\*bold\* \_and\_ \`code\`"),
        ("||spoiler|| ~~gone~~", r"\|\|spoiler\|\| \~\~gone\~\~"),
        ("[a] [b](https://x.test)", "[a] [b] (https://x.test)"),
        ("https://x.test/a_b", r"https://x.test/a\_b"),
        ("<@123> <#45> <:e:6>", r"\<@123> \<#45> \<:e:6>"),
        ("# one\n## two", r"\# one ## two"),
        ("back\\slash", r"back\\slash"),
    ],
)
async def test_no_sign_of_what_is_said_does_anything(
    channel: Channel, time: Time, said: str, shown: str
) -> None:
    async with mirrored(channel, time) as mirror:
        mirror.put(a_line(1, said, name=said))
        await settled()
        assert channel.shown == [f"**{shown}**: {shown}"]


async def test_every_request_fires_no_mention_and_shows_no_preview(
    channel: Channel, time: Time
) -> None:
    async with mirrored(channel, time) as mirror:
        for seq in (1, 2):
            mirror.put(a_line(seq, "@everyone https://x.test"))
            await time.passes(EVERY_S)
        sent, edited = channel.hows
        for how in (sent, edited):
            assert how["allowed_mentions"].to_dict() == {"parse": []}
        assert sent["suppress_embeds"]
        assert edited["suppress"]


# how far it is


async def test_the_mark_is_behind_what_was_posted(channel: Channel, time: Time) -> None:
    async with mirrored(channel, time, mark=4) as mirror:
        assert mirror.mark == 4
        mirror.put(a_line(7))
        assert mirror.mark == 6
        await settled()
        assert mirror.mark == 7
        channel.fails(refusal(503))
        mirror.put(a_line(9))
        await time.passes(EVERY_S)
        assert mirror.mark == 8


async def test_a_second_mirror_goes_on_where_the_first_was(
    channel: Channel, time: Time
) -> None:
    lines = [a_line(seq, f"{seq} " + "word " * 50) for seq in range(1, 21)]
    async with mirrored(channel, time) as first:
        for line in lines:
            first.put(line)
        await settled()
        channel.is_deaf = True
        await closed(first, time)
        channel.is_deaf = False
    assert 0 < first.mark < 20
    async with mirrored(channel, time, mark=first.mark) as second:
        for line in lines:
            second.put(line)
        await time.passes(10 * EVERY_S)
    assert [int(line.split()[1]) for line in channel.lines] == list(range(1, 21))


# what goes wrong


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("before", [0, 1])
async def test_where_it_may_not_write_it_is_silent_and_says_so_once(
    channel: Channel, time: Time, status: int, before: int
) -> None:
    with capture_logs() as logs:
        async with mirrored(channel, time) as mirror:
            for seq in range(1, before + 1):
                mirror.put(a_line(seq))
            await time.passes(EVERY_S)
            channel.fails(refusal(status, 10003))
            for seq in range(5, 9):
                mirror.put(a_line(seq, "secret"))
                await time.passes(100)
            assert mirror.is_silent
            assert mirror.mark == 4
    assert len(channel.verbs) == before + 1
    assert [entry["event"] for entry in logs] == ["mirror.silent"]
    assert "secret" not in str(logs)


@pytest.mark.parametrize(
    "failure",
    [
        refusal(500),
        refusal(503),
        refusal(429),  # of Cloudflare's, which discord.py does not wait out
        ConnectionResetError(),
        RuntimeError("Session is closed"),
        TimeoutError(),
    ],
)
async def test_what_fails_is_asked_again_later_each_time(
    channel: Channel, time: Time, failure: Exception
) -> None:
    with capture_logs() as logs:
        async with mirrored(channel, time) as mirror:
            channel.fails(*[failure] * 8)
            mirror.put(a_line(1))
            await time.passes(5)
            mirror.put(a_line(2))
            await time.passes(400)
            gaps = [b - a for a, b in itertools.pairwise(channel.times)]
            assert gaps[:8] == [2, 4, 8, 16, 32, 60, 60, 60]
            assert channel.lines == ["**Ann**: no 1", "**Ann**: no 2"]
            assert mirror.mark == 2
    assert [entry["event"] for entry in logs] == ["mirror.waits", "mirror.goes_on"]


async def test_a_long_limit_is_waited_out(channel: Channel, time: Time) -> None:
    async with mirrored(channel, time) as mirror:
        channel.fails(discord.RateLimited(90.0))
        mirror.put(a_line(1))
        await time.passes(200)
        assert channel.times[1] - channel.times[0] == 90
        assert channel.lines == ["**Ann**: no 1"]


async def test_what_was_not_answered_is_asked_again_as_it_was(
    channel: Channel, time: Time
) -> None:
    async with mirrored(channel, time) as mirror:
        channel.is_deaf = True
        mirror.put(a_line(1))
        await settled()
        mirror.put(a_line(2))
        channel.is_deaf = False
        await time.passes(REQUEST_S + 10)
        assert channel.contents[0] == channel.contents[1] == "**Ann**: no 1"
        assert channel.hows[0]["nonce"] == channel.hows[1]["nonce"]
        assert channel.lines == ["**Ann**: no 1", "**Ann**: no 2"]


async def test_an_edit_without_an_answer_is_finished_before_a_new_message(
    channel: Channel, time: Time
) -> None:
    async with mirrored(channel, time) as mirror:
        mirror.put(a_line(1))
        await time.passes(EVERY_S)
        channel.is_deaf = True
        mirror.put(a_line(2))
        await settled()
        channel.is_deaf = False
        channel.somebody_writes()
        mirror.put(a_line(3))
        await time.passes(REQUEST_S + 10)
        assert channel.verbs == ["send", "edit", "edit", "send"]
        assert channel.shown == ["**Ann**: no 1\n**Ann**: no 2", "**Ann**: no 3"]


async def test_what_somebody_deleted_is_not_posted_again(
    channel: Channel, time: Time
) -> None:
    async with mirrored(channel, time) as mirror:
        mirror.put(a_line(1))
        await time.passes(EVERY_S)
        channel.fails(refusal(404, 10008))
        mirror.put(a_line(2))
        await time.passes(5)
        assert channel.shown[1:] == ["**Ann**: no 2"]
        assert not mirror.is_silent


async def test_a_new_message_that_is_gone_already_had_been_posted(
    channel: Channel, time: Time
) -> None:
    async with mirrored(channel, time) as mirror:
        channel.fails(TimeoutError(), refusal(404, 10008))
        mirror.put(a_line(1))
        await time.passes(5)
        mirror.put(a_line(2))
        await time.passes(5)
        assert channel.shown == ["**Ann**: no 2"]


async def test_a_line_that_discord_does_not_take_costs_only_itself(
    channel: Channel, time: Time
) -> None:
    class Moderated(Channel):
        async def asked_to(self, verb: str, content: str, how: dict[str, Any]) -> None:
            if "forbidden" in content:
                raise refusal(400, 200000)
            await super().asked_to(verb, content, how)

    strict = Moderated(time)
    with capture_logs() as logs:
        async with mirrored(strict, time) as mirror:
            for seq in range(1, 9):
                mirror.put(a_line(seq, "forbidden" if seq in (3, 6) else ""))
            await time.passes(60)
            assert strict.lines == [f"**Ann**: no {n}" for n in (1, 2, 4, 5, 7, 8)]
            assert (mirror.refused, mirror.mark) == (2, 8)
    assert [entry["event"] for entry in logs] == ["mirror.refused"]


async def test_where_no_more_edits_are_taken_a_new_message_begins(
    channel: Channel, time: Time
) -> None:
    async with mirrored(channel, time) as mirror:
        mirror.put(a_line(1))
        await time.passes(EVERY_S)
        channel.fails(refusal(400, 30046))
        mirror.put(a_line(2))
        await time.passes(5)
        assert channel.shown == ["**Ann**: no 1", "**Ann**: no 2"]


# how it ends


async def test_at_the_end_the_rest_is_posted_at_once(
    channel: Channel, time: Time
) -> None:
    async with mirrored(channel, time) as mirror:
        mirror.put(a_line(1))
        await settled()
        for seq in range(2, 40):
            mirror.put(a_line(seq, f"{seq} " + "word " * 20))
    assert mirror.mark == 39
    assert len(channel.lines) == 39
    assert channel.times[-1] == channel.times[0]


async def test_ending_twice_is_ending_once(channel: Channel, time: Time) -> None:
    async with mirrored(channel, time) as mirror:
        mirror.put(a_line(1))
        await asyncio.gather(mirror.close(), mirror.close())
        await mirror.close()
        mirror.put(a_line(2))
        await settled()
    assert channel.lines == ["**Ann**: no 1"]


async def test_the_end_asks_again_what_has_failed(channel: Channel, time: Time) -> None:
    async with mirrored(channel, time) as mirror:
        channel.fails(*[refusal(503)] * 6)
        mirror.put(a_line(1))
        await time.passes(40)
        assert len(channel.times) == 5
        await closed(mirror, time)
    assert channel.lines == ["**Ann**: no 1"]


async def test_the_end_waits_no_longer_than_it_should(
    channel: Channel, time: Time
) -> None:
    with capture_logs() as logs:
        async with mirrored(channel, time) as mirror:
            channel.is_deaf = True
            mirror.put(a_line(1))
            began_s = time.now
            await closed(mirror, time)
            assert time.now - began_s == CLOSE_S
    assert [entry["event"] for entry in logs] == ["mirror.left"]


async def test_an_error_of_the_session_passes_through(
    channel: Channel, time: Time
) -> None:
    async def a_session_that_dies() -> None:
        async with mirrored(channel, time) as mirror:
            mirror.put(a_line(1))
            raise KeyError

    with pytest.raises(KeyError):
        await a_session_that_dies()
    assert channel.lines == ["**Ann**: no 1"]
