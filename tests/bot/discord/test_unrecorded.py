"""Whoever is not recorded on Discord stands in the transcript as such."""

from __future__ import annotations

import pytest
from channels.db import database_sync_to_async
from recorded import Recorded

from bot.discord import optouts, retained, unrecorded
from bot.discord.optouts import Admission
from sessions.models import Participant
from transcripts import utterances

pytestmark = pytest.mark.django_db(transaction=True)

ANN, BOB = 7_110_000_000_001, 7_110_000_000_002
NAMES = {ANN: "Ann", BOB: "Bob"}


async def noted(talk: Recorded, admission: Admission) -> list[str]:
    await unrecorded.note(
        talk.session, NAMES, admission=admission, name_of=NAMES.__getitem__
    )
    lines = await database_sync_to_async(utterances.of_session)(talk.session.pk)
    return [f"{line.speaker}: {line.text}" for line in lines]


async def test_one_line_for_each_who_opted_out() -> None:
    talk = await database_sync_to_async(Recorded)()
    await database_sync_to_async(optouts.opt_out)(BOB)
    admission = Admission()
    await database_sync_to_async(admission.refresh)()
    for _ in range(2):
        assert await noted(talk, admission) == ["Bob: (not recorded)"]


async def test_nobody_outside_of_a_whitelist_is_recorded() -> None:
    talk = await database_sync_to_async(Recorded)()
    assert await noted(talk, Admission([ANN])) == ["Bob: (not recorded)"]


async def test_whoever_opts_in_again_may_speak() -> None:
    talk = await database_sync_to_async(Recorded)()
    await noted(talk, Admission([ANN]))
    assert await noted(talk, Admission()) == []
    assert (await Participant.objects.aget()).opted_out_at is None


async def test_a_database_that_is_away_costs_no_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = await database_sync_to_async(Recorded)()

    def is_away(*_: object, **__: object) -> bool:
        raise OSError("no database")

    monkeypatch.setattr("sessions.optout.settle", is_away)
    assert await noted(talk, Admission()) == []


def test_the_panel_says_how_long_it_is_kept(settings: object) -> None:
    for name in ("KEEP_MASTERS_DAYS", "KEEP_TRANSCRIPTS_DAYS"):
        setattr(settings, name, 0)
    assert "until somebody deletes" in retained.retained("en")
    setattr(settings, "KEEP_DISCORD_DAYS", {"masters": 30})  # noqa: B010
    told = "Days that sound is kept: 30. Days that text is kept: ∞."
    assert retained.retained("en") == told
