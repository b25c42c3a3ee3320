"""System checks: what is wrong with the settings is said at start-up, with a hint."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

from sessions import finish, jobs


@register
def check_dotted_paths(**_: Any) -> list[CheckMessage]:
    """Every path that is looked up by name leads somewhere."""
    paths = [
        *settings.CAPTURE_SINKS,
        *finish.STEPS,
        *settings.FORGETTERS,
        *settings.PERSON_FORGETTERS,
        *settings.SUBJECT_FORGETTERS,
        *settings.RETAINERS,
        *settings.WHEN_READY,
        settings.SPEECH_STATE,
        settings.SEARCH,
        *jobs.KINDS.values(),
        jobs.TRANSCRIPTS,
    ]
    return [error for path in paths if (error := _import_error(path))]


def _import_error(path: str) -> Error | None:
    try:
        import_string(path)
    except ImportError as e:
        where = "the settings of dotted paths, sessions.finish or .jobs"
        hint = f"It is named in {where}: {e}"
        return Error(f"{path} cannot be imported.", hint=hint, id="sessions.E001")
    return None


@register
def check_speech_lengths(**_: Any) -> list[CheckMessage]:
    """Endpointing that could never work."""
    if settings.VAD_RELEASE <= settings.VAD_THRESHOLD <= 1:
        return []
    hint = "Both are probabilities; the release is the lower one."
    message = "VAD_RELEASE must not exceed VAD_THRESHOLD."
    return [Error(message, hint=hint, id="sessions.E002")]


@register
def check_discord(**_: Any) -> list[CheckMessage]:
    """A sign-in with Discord that could never work."""
    wrong = []
    if bool(settings.DISCORD_CLIENT_ID) != bool(settings.DISCORD_CLIENT_SECRET):
        message = "DISCORD_CLIENT_ID and DISCORD_CLIENT_SECRET belong together."
        hint = "Set both, from OAuth2 in Discord's developer portal, or neither."
        wrong.append(Error(message, hint=hint, id="sessions.E005"))
    if not settings.DISCORD_OAUTH_URL.startswith(("https://", "http://")):
        message = "DISCORD_OAUTH_URL is no address."
        hint = "Leave it out; only a test server has another one."
        wrong.append(Error(message, hint=hint, id="sessions.E006"))
    return list(wrong)


@register
def check_bucket(**_: Any) -> list[CheckMessage]:
    """Settings of a bucket that contradict each other."""
    wrong = []
    if bool(settings.S3_ACCESS_KEY_ID) != bool(settings.S3_SECRET_ACCESS_KEY):
        message = "S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY belong together."
        hint = "Set both, or neither where the machine has a role of its own."
        wrong.append(Error(message, hint=hint, id="sessions.E003"))
    if settings.S3_SSE_KMS_KEY_ID and settings.S3_SSE != "aws:kms":
        message = "S3_SSE_KMS_KEY_ID is used only with S3_SSE=aws:kms."
        hint = "Set S3_SSE=aws:kms, or leave the key id out."
        wrong.append(Error(message, hint=hint, id="sessions.E004"))
    return list(wrong)
