"""The index of everything said, in the database's own words: SQLite's FTS5, or
PostgreSQL's tsvector. Kept by triggers, so that no way to write or delete a line goes
past it.

A line that was corrected is found by the correction, and by nothing else.

SQLite builds a table anew to change it, and its triggers are gone then: a migration
that changes `Utterance` or `Correction` calls `build` again.
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

_SQLITE_SAID = """
    CREATE TRIGGER transcripts_search_insert AFTER INSERT ON transcripts_utterance
    WHEN new.text != '' BEGIN
        INSERT INTO transcripts_search (rowid, text, place)
        VALUES (new.id, new.text, 's' || new.session_id);
    END
"""
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
    _SQLITE_SAID,
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

CORRECTIONS = "transcripts_correction"
_SQLITE_UNFOLLOWED = (
    "DROP TRIGGER IF EXISTS transcripts_search_insert",
    "DROP TRIGGER IF EXISTS transcripts_search_update",
    "DROP TRIGGER IF EXISTS transcripts_search_delete",
    "DROP TRIGGER IF EXISTS transcripts_corrected_insert",
    "DROP TRIGGER IF EXISTS transcripts_corrected_update",
    "DROP TRIGGER IF EXISTS transcripts_corrected_delete",
    "DROP VIEW IF EXISTS transcripts_said",
)


def _sqlite_swap(row: str, *, gone: str, come: str, when: str = "1") -> str:
    """Statements of a trigger on corrections: one text of a line goes out of the index,
    another comes in. What goes out has to be told as it went in."""
    line = f"transcripts_utterance said WHERE said.id = {row}.utterance_id AND {when}"
    return f"""
        INSERT INTO transcripts_search (transcripts_search, rowid, text, place)
        SELECT 'delete', said.id, {gone}, 's' || said.session_id
        FROM {line} AND {gone} != '';
        INSERT INTO transcripts_search (rowid, text, place)
        SELECT said.id, {come}, 's' || said.session_id
        FROM {line} AND {come} != '';
    """  # noqa: S608 (put together of constants)


_SQLITE_FOLLOWED = (
    *_SQLITE_UNFOLLOWED,
    # Its text is the correction's, where there is one.
    """
    CREATE VIEW transcripts_said AS
    SELECT said.id, COALESCE(made.text, said.text) AS text,
        's' || said.session_id AS place
    FROM transcripts_utterance said LEFT JOIN transcripts_correction made
    ON made.utterance_id = said.id AND made.is_current
    """,
    _SQLITE_SAID,
    """
    CREATE TRIGGER transcripts_search_update
    AFTER UPDATE OF text ON transcripts_utterance
    WHEN old.text != new.text AND NOT EXISTS (
        SELECT 1 FROM transcripts_correction
        WHERE is_current AND utterance_id = new.id
    ) BEGIN
        INSERT INTO transcripts_search (transcripts_search, rowid, text, place)
        SELECT 'delete', old.id, old.text, 's' || old.session_id
        WHERE old.text != '';
        INSERT INTO transcripts_search (rowid, text, place)
        SELECT new.id, new.text, 's' || new.session_id WHERE new.text != '';
    END
    """,
    # Its corrections may go before it or after it.
    """
    CREATE TRIGGER transcripts_search_delete AFTER DELETE ON transcripts_utterance
    BEGIN
        INSERT INTO transcripts_search (transcripts_search, rowid, text, place)
        SELECT 'delete', old.id, gone.text, 's' || old.session_id FROM (
            SELECT COALESCE((
                SELECT text FROM transcripts_correction
                WHERE is_current AND utterance_id = old.id
            ), old.text) AS text
        ) gone WHERE gone.text != '';
    END
    """,
    f"""
    CREATE TRIGGER transcripts_corrected_insert AFTER INSERT ON transcripts_correction
    WHEN new.is_current BEGIN
    {_sqlite_swap("new", gone="said.text", come="new.text")}
    END
    """,
    f"""
    CREATE TRIGGER transcripts_corrected_update
    AFTER UPDATE OF text, is_current ON transcripts_correction BEGIN
    {_sqlite_swap("old", gone="old.text", come="said.text", when="old.is_current")}
    {_sqlite_swap("new", gone="said.text", come="new.text", when="new.is_current")}
    END
    """,
    f"""
    CREATE TRIGGER transcripts_corrected_delete AFTER DELETE ON transcripts_correction
    WHEN old.is_current BEGIN
    {_sqlite_swap("old", gone="old.text", come="said.text")}
    END
    """,
)

# Corrections that were there before: the index holds what they replaced.
_SQLITE_RETOLD = (
    """
    INSERT INTO transcripts_search (transcripts_search, rowid, text, place)
    SELECT 'delete', said.id, said.text, 's' || said.session_id
    FROM transcripts_utterance said JOIN transcripts_correction made
    ON made.utterance_id = said.id WHERE made.is_current AND said.text != ''
    """,
    """
    INSERT INTO transcripts_search (rowid, text, place)
    SELECT said.id, made.text, 's' || said.session_id
    FROM transcripts_utterance said JOIN transcripts_correction made
    ON made.utterance_id = said.id WHERE made.is_current
    """,
)

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

_POSTGRESQL_UNFOLLOWED = (
    "DROP TRIGGER IF EXISTS transcripts_corrected ON transcripts_correction",
    "DROP FUNCTION IF EXISTS transcripts_corrected()",
)
_POSTGRESQL_FOLLOWED = (
    *_POSTGRESQL_UNFOLLOWED,
    """
    CREATE OR REPLACE FUNCTION transcripts_search() RETURNS trigger AS $$
    BEGIN
        new.search := transcripts_vector(
            COALESCE((
                SELECT text FROM transcripts_correction
                WHERE is_current AND utterance_id = new.id
            ), new.text), new.language
        );
        RETURN new;
    END
    $$ LANGUAGE plpgsql
    """,
    # A line that is written anew looks for its correction.
    """
    CREATE FUNCTION transcripts_corrected() RETURNS trigger AS $$
    BEGIN
        UPDATE transcripts_utterance SET text = text
        WHERE id = COALESCE(new.utterance_id, old.utterance_id);
        RETURN NULL;
    END
    $$ LANGUAGE plpgsql
    """,
    """
    CREATE TRIGGER transcripts_corrected
    AFTER INSERT OR DELETE OR UPDATE OF text, is_current ON transcripts_correction
    FOR EACH ROW EXECUTE FUNCTION transcripts_corrected()
    """,
)
_RETOLD = """
    UPDATE transcripts_utterance SET text = text
    WHERE id IN (SELECT utterance_id FROM transcripts_correction WHERE is_current)
"""


def build(connection: BaseDatabaseWrapper) -> None:
    """The index, of all that is there; one that was there before is replaced."""
    has_corrections = CORRECTIONS in connection.introspection.table_names()
    if has_corrections:
        _run(connection, {"sqlite": _SQLITE_UNFOLLOWED, "postgresql": ()})
    _run(connection, {"sqlite": _SQLITE, "postgresql": _POSTGRESQL})
    if has_corrections:
        follow_corrections(connection)


def drop(connection: BaseDatabaseWrapper) -> None:
    _run(connection, {"sqlite": _SQLITE_GONE, "postgresql": _POSTGRESQL_GONE})


def follow_corrections(connection: BaseDatabaseWrapper) -> None:
    """From here on the index knows lines as they were corrected."""
    _run(connection, {"sqlite": _SQLITE_FOLLOWED, "postgresql": _POSTGRESQL_FOLLOWED})
    _run(connection, {"sqlite": _SQLITE_RETOLD, "postgresql": (_RETOLD,)})


def unfollow_corrections(connection: BaseDatabaseWrapper) -> None:
    """The index as it was before there were corrections."""
    gone = {"sqlite": _SQLITE_UNFOLLOWED, "postgresql": _POSTGRESQL_UNFOLLOWED}
    _run(connection, gone)
    _run(connection, {"sqlite": _SQLITE, "postgresql": _POSTGRESQL})


def _run(
    connection: BaseDatabaseWrapper, statements: dict[str, tuple[str, ...]]
) -> None:
    with connection.cursor() as cursor:
        for statement in statements[connection.vendor]:
            cursor.execute(statement)
