"""Endpointing on scripts of speech and silence."""

from __future__ import annotations

from transcripts.speech import WINDOW_MS, Endpointer, Endpointing, Stretch


def hear(script: str, settings: Endpointing | None = None) -> list[Stretch]:
    """One character a window: `#` speech, `.` silence, `-` between the thresholds."""
    endpointer = Endpointer(settings or Endpointing(silence_ms=160))
    likely = {"#": 0.9, ".": 0.05, "-": 0.4}
    found = [s for c in script if (s := endpointer.push(likely[c])) is not None]
    last = endpointer.flush()
    return [*found, last] if last else found


def test_it_ends_an_utterance_after_the_silence() -> None:
    assert hear("..#####.....") == [Stretch(2, 7)]


def test_it_bridges_a_pause_shorter_than_the_silence() -> None:
    assert hear("#####....#####.....") == [Stretch(0, 14)]


def test_it_holds_on_between_the_thresholds_but_does_not_start_there() -> None:
    assert hear("---#####---.....") == [Stretch(3, 11)]


def test_it_drops_a_click() -> None:
    assert hear("..##.........") == []


def test_it_flushes_what_is_open() -> None:
    assert hear("######") == [Stretch(0, 6)]


def test_it_cuts_a_monologue_at_its_longest_pause() -> None:
    settings = Endpointing(silence_ms=800, soft_max_s=20 * WINDOW_MS / 1000)
    found = hear("######.###...####.######", settings)
    assert found[0] == Stretch(0, 10, cut=True)
    assert found[1] == Stretch(13, 24)


def test_it_cuts_at_the_hard_maximum_when_there_is_no_pause() -> None:
    settings = Endpointing(silence_ms=800, soft_max_s=20 * WINDOW_MS / 1000)
    found = hear("#" * 100, settings)
    assert [s.end - s.start for s in found] == [40, 40, 20]
    assert [s.start for s in found] == [0, 40, 80]


def test_it_loses_no_window_of_speech_to_a_cut() -> None:
    settings = Endpointing(silence_ms=800, soft_max_s=1.0)
    script = "#######...####..########....#########.#####" * 8
    covered = {w for s in hear(script, settings) for w in range(s.start, s.end)}
    assert covered >= {i for i, c in enumerate(script) if c == "#"}
