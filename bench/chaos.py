"""Chaos: many talk over all three roads, everything is broken, and what was said is
compared with what is left of it.

Two web nodes, a Discord bot, two phone servers, a worker for speech and one for media,
on PostgreSQL, Redis and S3. Processes are killed and held at random moments; so are
PostgreSQL and Redis; cables to them and to the clients are cut, fall silent or slow
down; the Discord bot has a network of its own, whose wire is pulled, or so narrow that
it drops; S3 refuses, hangs and breaks off; the disk is full; the clock jumps; clients
send at ten times the speed, at half of it, in bursts, and garbage. People talk on:
pages come back at the next node, telephones are dialled again, members of Discord just
speak.

    holes       what was sent and stands nowhere. Only where the process that carried it
                was down, or its cable, and at most 1.0 s longer than that. Told apart:
                samples left out of pauses, where clocks do not run alike or a gap was
                taken back; in speech 30 ms in one place at most
    astray      how far each 20 ms stands from where it was captured, by its own track;
                apart: what came late, on a road that was slow, cut or held, and the 8 s
                behind that, until a pause shows that nothing was missing
    master      how far what is heard in the master stands from where its track has it
    lines       phrases that were received whole and not written down, or twice

`python bench/chaos.py --faults 200 --seconds 1500 --clock`: that steps the clock of
this machine, for a second or three. What takes root and cannot be tried is told.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voiceproject.settings")

import django

django.setup()

import numpy as np
from chaos.clock import may_step
from chaos.run import Outcome, Plan, chaos
from chaos.wire import may_lay


def report(outcome: Outcome) -> None:
    """Print what was found."""
    found, astray = outcome.found, outcome.astray_ms
    holes = [hole for track in found for hole in track.holes]
    phrases = sum(track.phrases for track in found)
    words = sum(track.words for track in found)
    frames = sum(int((~np.isnan(track.at)).sum()) for track in found)
    print(f"\n{outcome.faults.total()} faults of {len(outcome.faults)} kinds")
    for track in found:
        away = np.abs(track.astray_ms) if track.astray_ms else np.zeros(1)
        told = " ".join(f"{hole.seconds:.2f}" for hole in track.holes)
        print(
            f"  {track.track.script.name:10} {track.track.lines:3} connections, "
            f"{track.phrases} phrases, astray p99 {np.percentile(away, 99):.1f}, at "
            f"most {away.max():.1f} ms, moved {track.corrections} times; holes (s): "
            f"{told or 'none'}"
        )
    print(
        f"sound: {frames} frames of 20 ms found, {len(holes)} holes, "
        f"{sum(hole.seconds for hole in holes):.1f} s; not excused: "
        f"{len(outcome.bad_holes)}"
    )
    for hole in outcome.bad_holes:
        at = hole.since - outcome.began
        print(f"    {hole.name}: {hole.seconds:.2f} s, {at:.1f} s in")
    off = np.abs(outcome.off_master or [0])
    late = outcome.disturbed_ms
    shorter = sum(track.shortened_s for track in found)
    print(
        f"left out of pauses, to be in time: {shorter:.2f} s\n"
        f"came late, or just behind that: {len(late) - 1} frames of "
        f"{len(late) + len(astray) - 2}, astray p99 "
        f"{np.percentile(late, 99):.1f}, at most {late.max():.1f} ms"
    )
    print(
        f"timing: astray p99 {np.percentile(astray, 99):.1f}, at most "
        f"{astray.max():.1f} ms; master at most {off.max()} samples off its tracks "
        f"(1152), {len(outcome.off_master)} phrases looked for"
    )
    print(
        f"lines: {phrases} phrases received whole; {len(outcome.lost)} lost, "
        f"{len(outcome.doubled)} doubled, {len(outcome.invented)} that nobody said; "
        f"wrong words {outcome.wrong_words:.1%} of {words}; rows: {dict(outcome.rows)}"
    )
    for one in (*outcome.lost, *outcome.doubled, *outcome.invented):
        print(f"    {one}")
    print(f"sessions: {dict(outcome.states)}, the last after {outcome.ready_s:.0f} s")
    print(f"files given up or waiting: {outcome.errors or 'none'}")
    print(f"orphans: {outcome.orphans.strip()}")
    print(f"ended by themselves, and started again: {outcome.restarted or 'none'}")
    print(f"did not stop by themselves: {outcome.late or 'none'}")


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--browsers", type=int, default=8)
    asked.add_argument("--phones", type=int, default=6)
    asked.add_argument("--members", type=int, default=6)
    asked.add_argument("--seconds", type=float, default=1500.0)
    asked.add_argument("--faults", type=int, default=200)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--only", default="", help="kinds whose names hold this")
    asked.add_argument("--clock", action="store_true")
    how = asked.parse_args()
    wants = {
        "the clock is stepped": how.clock and may_step(),
        "the bot's own wire is pulled": may_lay(),
        "the disk is full": os.geteuid() == 0,
    }
    for what, is_done in wants.items():
        if not is_done:
            print(f"not tried: {what} (takes root)")
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    plan = Plan(
        browsers=how.browsers,
        phones=how.phones,
        members=how.members,
        seconds=how.seconds,
        faults=how.faults,
        seed=how.seed,
        step_clock=wants["the clock is stepped"],
        only=how.only,
    )
    outcome = chaos(plan)
    report(outcome)
    for failing in outcome.failings:
        print(f"does not hold: {failing}")
    if not outcome.failings:
        print("holds")
    return 1 if outcome.failings else 0


if __name__ == "__main__":
    sys.exit(main())
