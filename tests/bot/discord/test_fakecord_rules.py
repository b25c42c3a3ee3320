"""What the test Discord decides without a network: windows, commands, seals."""

from __future__ import annotations

from typing import Any

import pytest
from fakecord.commands import check_commands, may_use
from fakecord.failures import Refused
from fakecord.limits import Limit, Limits
from fakecord.rtp import MODES, Cipher, Rtp
from scene import Clock

pytestmark = pytest.mark.pure
COMMAND: dict[str, Any] = {"name": "voice", "description": "A private room", "type": 1}


def test_a_window_begins_anew_when_it_is_over() -> None:
    clock = Clock()
    limits = Limits(clock=clock)
    limits.add(Limit("GET", "/channels/*", count=1, per_s=10.0))
    waits = []
    for seconds in (0.0, 4.0, 6.0):
        clock.passes(seconds)
        spent = limits.spend("GET", "/channels/{channel}", "/channels/1")
        waits.append(spent.wait_s)
    assert waits == [None, 6.0, None]


def test_each_channel_has_a_window_of_its_own() -> None:
    limits = Limits(clock=Clock())
    limits.add(Limit("GET", "/channels/*", count=1, per_s=10.0))
    for channel in (1, 2):
        spent = limits.spend("GET", "/channels/{channel}", f"/channels/{channel}")
        assert spent.wait_s is None


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Voice"},
        {"name": "two words"},
        {"name": "x" * 33},
        {"description": ""},
        {"description": "x" * 101},
        {"name_localizations": {"it": "Stanza"}},
        {"name_localizations": {"xx": "room"}},
        {"description_localizations": {"ro": "x" * 101}},
        {"options": [{**COMMAND, "required": False}, {**COMMAND, "required": True}]},
        {"options": [{**COMMAND, "name": "Option"}]},
    ],
)
def test_a_command_discord_would_not_have_is_refused(change: dict[str, Any]) -> None:
    check_commands([COMMAND])
    with pytest.raises(Refused) as caught:
        check_commands([COMMAND | change])
    assert caught.value.refusal.code == 50035


def test_a_name_is_given_once() -> None:
    check_commands([COMMAND, COMMAND | {"name": "other"}])
    with pytest.raises(Refused):
        check_commands([COMMAND, COMMAND])


def test_a_command_is_shown_to_whom_it_is_meant_for() -> None:
    assert may_use(COMMAND, 0)
    meant = COMMAND | {"default_member_permissions": "32"}
    assert may_use(meant, 32)
    assert not may_use(meant, 16)
    assert not may_use(COMMAND | {"default_member_permissions": "0"}, 32)


@pytest.mark.parametrize("mode", MODES)
def test_both_seals_open_again(mode: str) -> None:
    cipher, packet = Cipher(bytes(32), mode), Rtp(1, 2, 3, b"media")
    assert cipher.open(cipher.seal(packet, 7)) == packet
