"""The index of everything said, in the database's own words: SQLite's FTS5, or
PostgreSQL's tsvector. Kept by triggers, so that no way to write or delete a line goes
past it.

SQLite builds a table anew to change it, and its triggers are gone then: a migration
that changes `Utterance` calls `build` again.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

CONFIGS = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
"""Languages whose words PostgreSQL knows to reduce to their stems, under its names. All
words are found as they stand, too: also those that are too frequent for a stem."""
SIMPLE = "simple"

_CASES = "\n".join(
    f"    WHEN '{code}' THEN '{name}'::regconfig" for code, name in CONFIGS.items()
)

_SQLITE = (
    "DROP TRIGGER IF EXISTS transcripts_search_insert",
    "DROP TRIGGER IF EXISTS transcripts_search_update",
    "DROP TRIGGER IF EXISTS transcripts_search_delete",
    "DROP TABLE IF EXISTS transcripts_search",
    "DROP VIEW IF EXISTS transcripts_said",
    # `place` is a word that says in which session it was said: a search in a few
    # sessions is one of the index.
    """
    CREATE VIEW transcripts_said AS
    SELECT id, text, 's' || session_id AS place FROM transcripts_utterance
    """,
    """
    CREATE VIRTUAL TABLE transcripts_search USING fts5(
        text, place, content='transcripts_said', content_rowid='id',
        tokenize='unicode61 remove_diacritics 2'
    )
    """,
    """
    INSERT INTO transcripts_search (rowid, text, place)
    SELECT id, text, 's' || session_id FROM transcripts_utterance WHERE text != ''
    """,
    """
    CREATE TRIGGER transcripts_search_insert AFTER INSERT ON transcripts_utterance
    WHEN new.text != '' BEGIN
        INSERT INTO transcripts_search (rowid, text, place)
        VALUES (new.id, new.text, 's' || new.session_id);
    END
    """,
    """
    CREATE TRIGGER transcripts_search_update
    AFTER UPDATE OF text ON transcripts_utterance
    WHEN old.text != new.text BEGIN
        INSERT INTO transcripts_search (transcripts_search, rowid, text, place)
        SELECT 'delete', old.id, old.text, 's' || old.session_id
        WHERE old.text != '';
        INSERT INTO transcripts_search (rowid, text, place)
        SELECT new.id, new.text, 's' || new.session_id WHERE new.text != '';
    END
    """,
    """
    CREATE TRIGGER transcripts_search_delete AFTER DELETE ON transcripts_utterance
    WHEN old.text != '' BEGIN
        INSERT INTO transcripts_search (transcripts_search, rowid, text, place)
        VALUES ('delete', old.id, old.text, 's' || old.session_id);
    END
    """,
)
_SQLITE_GONE = _SQLITE[:5]

_POSTGRESQL_GONE = (
    "DROP TRIGGER IF EXISTS transcripts_search ON transcripts_utterance",
    "DROP FUNCTION IF EXISTS transcripts_search()",
    "ALTER TABLE transcripts_utterance DROP COLUMN IF EXISTS search",
    "DROP FUNCTION IF EXISTS transcripts_vector(text, text)",
    "DROP FUNCTION IF EXISTS transcripts_config(text)",
)
_POSTGRESQL = (
    *_POSTGRESQL_GONE,
    f"""
    CREATE FUNCTION transcripts_config(language text) RETURNS regconfig AS $$
    SELECT CASE language
{_CASES}
    ELSE '{SIMPLE}'::regconfig END
    $$ LANGUAGE sql IMMUTABLE
    """,
    f"""
    CREATE FUNCTION transcripts_vector(said text, language text) RETURNS tsvector AS $$
    SELECT CASE
        WHEN said = '' THEN NULL
        WHEN transcripts_config(language) = '{SIMPLE}'::regconfig
        THEN to_tsvector('{SIMPLE}', said)
        ELSE to_tsvector('{SIMPLE}', said)
            || to_tsvector(transcripts_config(language), said)
    END
    $$ LANGUAGE sql IMMUTABLE
    """,
    "ALTER TABLE transcripts_utterance ADD COLUMN search tsvector",
    """
    CREATE FUNCTION transcripts_search() RETURNS trigger AS $$
    BEGIN
        new.search := transcripts_vector(new.text, new.language);
        RETURN new;
    END
    $$ LANGUAGE plpgsql
    """,
    """
    CREATE TRIGGER transcripts_search
    BEFORE INSERT OR UPDATE OF text, language ON transcripts_utterance
    FOR EACH ROW EXECUTE FUNCTION transcripts_search()
    """,
    """
    UPDATE transcripts_utterance
    SET search = transcripts_vector(text, language) WHERE text != ''
    """,
    """
    CREATE INDEX transcripts_search_idx ON transcripts_utterance USING gin (search)
    """,
)


def build(connection: BaseDatabaseWrapper) -> None:
    """The index, of all that is there; one that was there before is replaced."""
    _run(connection, {"sqlite": _SQLITE, "postgresql": _POSTGRESQL})


def drop(connection: BaseDatabaseWrapper) -> None:
    _run(connection, {"sqlite": _SQLITE_GONE, "postgresql": _POSTGRESQL_GONE})


def _run(
    connection: BaseDatabaseWrapper, statements: dict[str, tuple[str, ...]]
) -> None:
    with connection.cursor() as cursor:
        for statement in statements[connection.vendor]:
            cursor.execute(statement)
