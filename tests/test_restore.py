"""A copy taken while people talk comes up on an empty machine: what was said before it
is there, whole, and storage and tables agree."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from postgres import postgres_server
from speech import voices
from stack import ALL, Stack, wait_for
from talk import talk
from test_recording import found_at, the_master

from voiceproject.backup import DUMP, program

LOSS_S = 1.5
"""Of what was being said when the copy was made: what waited to be written, and where
a voice begins to be known again."""
PIECE_S = 0.5
RATE = 16_000


@pytest.fixture(params=["sqlite", "postgresql"])
def machines(request: pytest.FixtureRequest) -> Iterator[list[Stack]]:
    """The one that is copied, and an empty one."""
    with ExitStack() as parts:
        found = []
        for ttl_s in ("90", "5"):  # the second has sessions that nobody holds
            env = {"RECORDING_CHUNK_S": "2", "SESSION_IDLE_TTL_S": ttl_s}
            if request.param == "postgresql":
                env["DATABASE_URL"] = parts.enter_context(postgres_server())
            found.append(Stack(programs=ALL, **env))
        yield found
        for one in found:
            parts.callback(shutil.rmtree, one.folder, ignore_errors=True)
            parts.callback(one.stop)


def put_back(machine: Stack, copy: Path, *, token: str) -> None:
    """As docs/operating.md says."""
    shutil.copytree(copy, machine.folder, dirs_exist_ok=True)
    if (dump := copy / DUMP).exists():
        address = machine.env["DATABASE_URL"].replace("postgres:", "postgresql:")
        where = ["--no-owner", f"--dbname={address}"]
        words = [program("pg_restore"), *where, str(dump)]
        subprocess.run(words, check=True, capture_output=True, timeout=60)
    machine.manage("migrate", "-v0")
    machine.token = token


async def test_it_comes_up_somewhere_else(
    machines: list[Stack], tmp_path: Path
) -> None:
    here, there = machines
    with here:
        over, live = await asyncio.to_thread(lambda: [here.new_session() for _ in "ab"])
        said = voices.speak_phrases(voices.unseen_phrases(2, seed=4), pause_s=0.4)
        await talk(over, said)
        whole = await asyncio.to_thread(the_master, here, over["id"])
        spoken = voices.speak_phrases(voices.unseen_phrases(8, seed=5), pause_s=0.3)
        talking = asyncio.create_task(talk(live, spoken))
        await asyncio.sleep(8)
        began = asyncio.get_running_loop().time()
        copy = tmp_path / "copy"
        told = await asyncio.to_thread(here.manage, "backup", str(copy))
        print(f"copied in {asyncio.get_running_loop().time() - began:.1f} s: {told}")
        await talking
        token = here.token
    await asyncio.to_thread(put_back, there, copy, token=token)
    for name in ALL:
        there.start(name)  # on this thread: the kernel ends them with it
    await asyncio.to_thread(there.wait_healthy)
    path = f"/sessions/{live['id']}"

    def is_ready() -> bool:
        return bool(there.api("GET", path)["state"] == "ready")

    await asyncio.to_thread(wait_for, "its end", is_ready, within_s=90)
    again = await asyncio.to_thread(the_master, there, over["id"])
    assert np.array_equal(again, whole)
    sound = await asyncio.to_thread(the_master, there, live["id"])
    assert len(sound) / RATE > 8 - LOSS_S
    pieces = pieces_of(spoken[: int((8 - LOSS_S) * RATE)])
    places = [(at, *found_at(sound, piece)) for at, piece in pieces]
    assert min(alike for _, _, alike in places) > 0.8
    moved = np.array([found - at for at, found, _ in places])
    assert np.abs(moved - moved[0]).max() <= 0.02 * RATE
    assert "agree" in there.manage("reconcile", "--dry-run")
    assert "Nothing was left behind" in there.manage("recover", "--all", "--dry-run")


def pieces_of(pcm: Any) -> list[tuple[int, Any]]:
    """Half seconds in which somebody speaks, and where they begin."""
    size = int(PIECE_S * RATE)
    cut = [(at, pcm[at : at + size]) for at in range(0, len(pcm) - size, size)]
    loud = [(at, one) for at, one in cut if np.abs(one).mean() > 500]
    assert len(loud) >= 5
    return loud


def test_a_copy_has_the_key_and_the_lines_of_calls_wherever_they_lie(
    tmp_path: Path,
) -> None:
    lines, copy = tmp_path / "elsewhere", tmp_path / "copy"
    (lines / "discord").mkdir(parents=True)
    (lines / "discord" / "call.jsonl").write_text("{}")
    key = "from-the-environment-0123456789-0123456789-0123456789"
    told = Stack(SECRET_KEY=key, LOGS_DIR=str(lines)).manage("backup", str(copy))
    assert "logs: 1 files" in told
    assert (copy / "logs" / "discord" / "call.jsonl").read_text() == "{}"
    assert (copy / "secret_key").stat().st_mode & 0o077 == 0
    print_key = "from django.conf import settings; print(settings.SECRET_KEY)"
    again = Stack(DATA_DIR=str(copy)).manage("shell", "-v0", "-c", print_key)
    assert again.strip() == key


def test_a_copy_does_not_write_over_another(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    (folder / "of yesterday").touch()
    with pytest.raises(AssertionError, match="is not empty"):
        Stack().manage("backup", str(folder))
