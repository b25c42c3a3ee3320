"""Settings that name who is called: how the lower floors reach the upper ones without
knowing them. Dotted paths, the same everywhere; the checks see that each leads
somewhere."""

from __future__ import annotations

# What listens to every capture: callables(track) -> Sink | None, in order.
# The recorder comes first: what is kept never waits for who listens.
CAPTURE_SINKS = [
    "sessions.capture.recorder.record",
    "transcripts.live.listen",
    "transcripts.tones.listen",
    "sessions.capture.levels.listen",
]
# Who keeps words of a session beside the database: callable(session) that deletes them.
FORGETTERS = ["bot.discord.text.lines.forget_session"]
# The same for one person: callable(participant), when they are erased there.
PERSON_FORGETTERS = ["bot.forgetting.forget_person"]
# And for one person wherever they are known: callable(keys, before=) -> all is gone.
SUBJECT_FORGETTERS = [
    "bot.forgetting.forget_subject",
    "transcripts.forgetting.forget_account",
    "transcripts.reporting.forget_subject",
]
# Who deletes what was kept long enough: callables(now=) -> how much, in order.
RETAINERS = [
    "sessions.retention.sweep",
    "sessions.retention.sweep_sound",
    "transcripts.expiring.sweep",
]
# Who is told when a session is ready: callables(session id).
WHEN_READY = [
    "transcripts.reporting.ring",
    "transcripts.forgetting.when_ready",
    "transcripts.figures.tell",
]
# Who knows how far the text is: callable(session id) -> dict for the page.
SPEECH_STATE = "transcripts.progress.speech_state"
# Who finds what was said: callable(words, sessions=, most=) -> hits for the dashboard.
SEARCH = "transcripts.search.search"
