"""Sessions: who talks where, when it began, what happened, how it ended.

Owns the session's state, the event log, capture and the browser's audio. Imports
neither `transcripts` nor `bot`: they look down on it.
"""
