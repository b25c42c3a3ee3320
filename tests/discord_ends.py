"""The ways in which a Discord call may end, and what may not be left of it then."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from discord_scenes import NICK, PATIENCE_S, Scene, in_db, is_panel
from django.conf import settings
from django.utils import timezone
from fakecord.interactions import Barred
from scene import eventually

from bot.discord.text.lines import path_of
from bot.models import DiscordCall
from sessions import events, finish, lifecycle
from sessions.capture.registry import registry
from sessions.models import SessionEvent, State, VoiceRequest, VoiceSession
from transcripts import figures

ROOT = Path(__file__).resolve().parent.parent
OURS = tuple(f"{ROOT / package}{os.sep}" for package in ("bot", "sessions"))
KEPT_UP = ("discord.queue", "discord.sweep", "discord.optouts", "discord.eraser")
"""What a bot without a call does."""
FILES = Path("/proc/self/fd")

# --- the ways to end ------------------------------------------------------------------


async def leave_command(scene: Scene) -> None:
    await scene.ann.types(scene.text, "leave", within_s=10)


async def stop_command(scene: Scene) -> None:
    await scene.ann.types(scene.text, "record stop", within_s=10)


async def stop_button(scene: Scene) -> None:
    if scene.panel is None:
        raise Barred("no panel yet")
    button = f"parley:stop:{scene.session.public_id}"
    await scene.ann.presses(scene.panel, button, within_s=10)


async def ended_elsewhere(scene: Scene) -> None:
    """As the API and the admin do, in the process of the pages."""
    pk = (await scene.row()).pk
    await asyncio.to_thread(lambda: asyncio.run(finish.end(pk, reason="requested")))


async def stop_requested(scene: Scene) -> None:
    """Asked for by somebody who died behind it; the reaper goes on."""
    pk = (await scene.row()).pk
    if await in_db(lifecycle.request_stop)(pk):
        await eventually(lambda: not scene.has_begun)
        await finish.close(pk, reason="recovered")


async def everybody_leaves(scene: Scene) -> None:
    scene.ann.leaves()


async def nobody_speaks(scene: Scene) -> None:
    """The timer of those who are silent runs out."""
    if scene.has_begun and (countdown := scene.call._countdown) is not None:
        countdown.stop()
        countdown._run_out()


async def kicked(scene: Scene) -> None:
    scene.mod.disconnects(scene.mod.bot)


async def channel_deleted(scene: Scene) -> None:
    if scene.channel is not None:
        scene.mod.deletes(scene.channel)


async def crash(scene: Scene) -> None:
    """The follower stumbles over an event that is none."""
    await in_db(events.append)((await scene.row()).pk, "utterance", {})


async def shut_down(scene: Scene) -> None:
    """SIGTERM: the whole bot."""
    assert scene.bot
    await scene.bot.operator.shut_down()


async def thrown_out(scene: Scene) -> None:
    scene.mod.throws_the_bot_out()


Way = Callable[[Scene], Awaitable[None]]
REASONS: dict[Way, str] = {
    leave_command: "stopped",
    stop_command: "stopped",
    stop_button: "stopped",
    ended_elsewhere: "requested",
    stop_requested: "recovered",
    everybody_leaves: "left",
    nobody_speaks: "inactivity",
    kicked: "kicked",
    channel_deleted: "channel_deleted",
    crash: "crashed",
    shut_down: "shut_down",
    thrown_out: "guild_removed",
}
IN_ONE_GUILD = tuple(way for way in REASONS if way is not shut_down)


async def end(scene: Scene, *ways: Way, offsets_s: Sequence[float] = (0.0,)) -> None:
    """Each way after so many seconds; whoever comes too late finds nobody."""

    async def one(way: Way, offset_s: float) -> None:
        await asyncio.sleep(offset_s)
        with contextlib.suppress(Barred, KeyError, VoiceSession.DoesNotExist):
            await way(scene)

    scene.reasons |= {REASONS[way] for way in ways}
    await asyncio.gather(*(one(*pair) for pair in zip(ways, offsets_s, strict=True)))


async def end_all(scenes: Iterable[Scene], way: Way) -> None:
    await asyncio.gather(*(end(scene, way) for scene in scenes))


# --- what may not be left -------------------------------------------------------------


async def nothing_is_left(
    scenes: Sequence[Scene], *, within_s: float = PATIENCE_S
) -> None:
    """Each ended exactly once, for one of its reasons, and all of it is gone. Late
    deeds cannot follow: nothing of ours runs any more."""
    for scene in scenes:
        scene.session = await scene.row()
    until = asyncio.get_running_loop().time() + within_s
    while left := _left_here(scenes) or await _left(scenes) or _left_here(scenes):
        assert asyncio.get_running_loop().time() < until, left
        await asyncio.sleep(0.02)


async def _left(scenes: Iterable[Scene]) -> list[str]:
    return [f"{scene.case}: {one}" for scene in scenes for one in await _left_of(scene)]


def _left_here(scenes: Sequence[Scene]) -> list[str]:
    """In this process."""
    loop: Any = asyncio.get_running_loop()
    left = [f"task {task.get_name()}" for task in asyncio.all_tasks() if _is_ours(task)]
    for handle in loop._scheduled:
        where = getattr(handle._callback, "__qualname__", "")
        if not handle.cancelled() and where.startswith(("Countdown.", "Chat.")):
            left.append(f"timer {where}")
    left += [
        f"thread {thread.name} at {_line_of(thread)}"
        for thread in threading.enumerate()
        if thread.name.startswith("voice-reading")
    ]
    here = registry()
    pks = {scene.session.pk for scene in scenes}
    left += ["host" for host in here._hosts if host.session_id in pks]
    left += ["capture" for h in here._held if h.capture.track.session_id in pks]
    left += ["viewer" for pk in here._viewers if pk in pks]
    left += ["call" for scene in scenes if scene.has_call]
    held = {target_of(file).removesuffix(" (deleted)") for file in FILES.iterdir()}
    left += ["file of lines" for scene in scenes if str(_lines(scene)) in held]
    return left


def _is_ours(task: asyncio.Task[Any]) -> bool:
    coroutine: Any = task.get_coro()
    code = getattr(coroutine, "cr_code", None)
    name = task.get_name()
    if name in KEPT_UP:
        return False
    return name.startswith("Voice") or (
        code is not None and code.co_filename.startswith(OURS)
    )


def _line_of(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _lines(scene: Scene) -> Path:
    return path_of(Path(settings.LOGS_DIR) / "lines", scene.session.public_id)


def target_of(file: Path) -> str:
    """What one of FILES is."""
    try:
        return str(file.readlink())
    except OSError:  # closed meanwhile
        return ""


async def _left_of(scene: Scene) -> list[str]:
    rows = await in_db(_rows)(scene)
    session, deed = rows.session, rows.deed
    left = []
    if session.state not in (State.READY, State.FAILED):
        left.append(f"session {session.state}")
    if rows.ends != 1:
        left.append(f"{rows.ends} events of an end")
    if session.end_reason not in scene.reasons:
        left.append(f"reason {session.end_reason}")
    if rows.request.state != "done":
        left.append(f"slot {rows.request.state}")
    if rows.connected:
        left.append(f"{rows.connected} people on the list")
    if deed.panel_id:
        left.append("panel in the database")
    left += await in_db(_left_on_disk)(scene, session)
    if scene.guild.id in scene.server.world.guilds:
        left += _left_in_discord(scene)
        if deed.undone_at is None:
            left.append(f"deed {deed.room_name} {deed.nickname} {deed.error}")
    return left


@dataclass(frozen=True, slots=True)
class _Rows:
    session: VoiceSession
    request: VoiceRequest
    deed: DiscordCall
    ends: int
    connected: int


def _rows(scene: Scene) -> _Rows:
    session = VoiceSession.objects.get(guild_id=str(scene.guild.id))
    told = SessionEvent.objects.filter(session=session, type="state")
    ends = [one for one in told if one.data["state"] in ("finishing", "failed")]
    return _Rows(
        session,
        VoiceRequest.objects.get(guild_id=str(scene.guild.id)),
        DiscordCall.objects.get(session=session),
        len(ends),
        session.participants.exclude(held_by="").count(),
    )


def _left_on_disk(scene: Scene, session: VoiceSession) -> list[str]:
    left = []
    written = figures_of(session)
    if len(written) != 1:
        left.append(f"{len(written)} lines of figures")
    elif written[0]["reason"] not in scene.reasons:
        left.append(f"figures say {written[0]['reason']}")
    if not scene.case.record and _lines(scene).exists():
        left.append("lines of what is not kept")
    return left


def figures_of(session: VoiceSession) -> list[dict[str, Any]]:
    """Its lines in the file of figures, when it is ready; also of one whose bot has
    died before it had noted what it knew."""
    lifecycle.advance(session.pk, State.READY)
    figures.tell(session.pk, now=timezone.now() + figures.NOTED_WITHIN)
    path = Path(settings.LOGS_DIR) / "voice_metrics.jsonl"
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if line["session"] == str(session.public_id)]


def _left_in_discord(scene: Scene) -> list[str]:
    world, guild = scene.server.world, scene.guild
    me, channels = world.me(guild.id), guild.channels.values()
    left = [f"channel {one.name}" for one in channels if one.name.startswith("Voice-")]
    left += [f"status of {one.name}" for one in channels if one.status]
    if me.nick != NICK:
        left.append(f"nickname {me.nick}")
    if me.voice is not None:
        left.append("voice state")
    panels = [one for one in world.mail.posted(scene.text.id) if is_panel(one)]
    left += ["panel with buttons" for one in panels if one.body.get("components")]
    return left
