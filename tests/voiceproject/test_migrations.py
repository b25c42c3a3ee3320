"""Every migration is safe beside the release before it: while processes are exchanged
one by one, the old ones read and write the new tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django_migration_linter import MigrationLinter
from django_migration_linter.sql_analyser import analyse_sql_statements
from postgres import default_database

OURS = ("voice_sessions", "transcripts", "bot")


@pytest.fixture
def linter(postgresql: Any, transactional_db: None) -> Iterator[MigrationLinter]:
    # SQLite makes a table anew for any change: it cannot tell which.
    with default_database(postgresql):
        yield MigrationLinter(no_cache=True, ignore_initial_migrations=True)


@pytest.mark.parametrize("app", OURS)
def test_the_release_before_goes_on_beside_it(
    linter: MigrationLinter, capsys: pytest.CaptureFixture[str], app: str
) -> None:
    linter.lint_all_migrations(app_label=app)
    assert linter.nb_total > 1
    assert linter.nb_erroneous == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("ADD COLUMN new integer NOT NULL", "NOT_NULL"),
        ("DROP COLUMN old CASCADE", "DROP_COLUMN"),
        ("RENAME COLUMN old TO new", "RENAME_COLUMN"),
    ],
)
def test_what_breaks_it_is_seen(
    linter: MigrationLinter, change: str, code: str
) -> None:
    statement = f'ALTER TABLE "voice_sessions_voicesession" {change};'
    errors, _, _ = analyse_sql_statements(linter.sql_analyser_class, [statement], [])
    assert [error.code for error in errors] == [code]
