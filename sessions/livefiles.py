"""The live cache of an installation without Redis: files, as Django has them."""

from __future__ import annotations

from django.core.cache.backends.filebased import FileBasedCache


class LiveFiles(FileBasedCache):
    """Django's lists the whole folder at each write, in case there is too much in it.
    There never is: `flashes.forget_old` deletes what expired long ago."""

    def _cull(self) -> None:
        """Nothing, at a write."""
