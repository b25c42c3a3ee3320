"""What a call wrote down is there before anything is made of its session."""

from __future__ import annotations

import pytest
from answering import Ears, calling, opened, over, serving
from telephone import RATE, noise

from sessions import finish
from sessions.models import SessionEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quiet")]


async def test_the_last_state_stands_when_the_session_is_finished(
    ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[str] = []

    def look(session_id: int) -> None:
        rows = SessionEvent.objects.filter(session_id=session_id, type="call")
        known.extend(row.data["state"] for row in rows.order_by("seq"))

    monkeypatch.setattr(finish, "ring", look)
    async with serving() as server:
        async with calling(server) as caller:
            await caller.say(noise(0.4), RATE)
            call = await opened(server)
            for number in range(30):  # a database that is slow
                call._log.notice("busy", str(number))
        await over(server)
    assert known[-1] == "ended"
