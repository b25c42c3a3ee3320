"""Settings that contradict each other are refused at the start, with a hint."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from sessions import checks


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, []),
        ({"S3_ACCESS_KEY_ID": "a"}, ["sessions.E003"]),
        ({"S3_SECRET_ACCESS_KEY": "s"}, ["sessions.E003"]),
        ({"S3_ACCESS_KEY_ID": "a", "S3_SECRET_ACCESS_KEY": "s"}, []),
        ({"S3_SSE_KMS_KEY_ID": "k"}, ["sessions.E004"]),
        ({"S3_SSE_KMS_KEY_ID": "k", "S3_SSE": "aws:kms"}, []),
    ],
)
def test_a_bucket_is_described_whole(
    settings: Settings, given: dict[str, str], found: list[str]
) -> None:
    for name, value in given.items():
        setattr(settings, name, value)
    assert [error.id for error in checks.check_bucket()] == found


@pytest.mark.parametrize("name", ["CAPTURE_SINKS", "FORGETTERS"])
def test_every_path_leads_somewhere(settings: Settings, name: str) -> None:
    assert checks.check_dotted_paths() == []
    setattr(settings, name, ["sessions.nowhere.here"])
    assert [error.id for error in checks.check_dotted_paths()] == ["sessions.E001"]
