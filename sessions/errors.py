"""Errors that reach people: a machine's code and a human's message."""

from __future__ import annotations


class VoiceError(Exception):
    """The base of all errors this project raises for the world's faults.

    `code` is for machines and never changes; `message` is for people and never holds
    a secret or what somebody said; `status` is the HTTP status an edge answers with.
    """

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class SessionNotFoundError(VoiceError):
    def __init__(self) -> None:
        super().__init__("not_found", "There is no such session.", status=404)


class SessionEndedError(VoiceError):
    def __init__(self) -> None:
        super().__init__("ended", "The session has ended.", status=409)


class NotAllowedError(VoiceError):
    def __init__(self) -> None:
        message = (
            "You may read this session; only its owner and moderators may do this."
        )
        super().__init__("not_allowed", message, status=403)
