"""The watchdog: told once for each time the loop hangs."""

from __future__ import annotations

from bot.phone.watchdog import HUNG_S, Watchdog


def test_a_loop_that_hangs_is_told_once_each_time() -> None:
    time = {"now": 100.0, "beat": 100.0}
    cut: list[float] = []
    watchdog = Watchdog(
        lambda: time["beat"],
        lambda: cut.append(time["now"]),
        clock=lambda: time["now"],
    )

    def look_at(*moments: float) -> None:
        for moment in moments:
            time["now"] = moment
            watchdog.look()

    look_at(100.5, 101.0, 101.9)
    assert not cut
    look_at(100.0 + HUNG_S, 103.0, 104.0)
    assert cut == [102.0]
    time["beat"] = 105.0
    look_at(105.5, 108.0, 109.0)
    assert cut == [102.0, 108.0]


def test_without_lines_there_is_nothing_to_watch() -> None:
    cut: list[int] = []
    watchdog = Watchdog(lambda: None, lambda: cut.append(1), clock=lambda: 1e9)
    watchdog.look()
    assert not cut
