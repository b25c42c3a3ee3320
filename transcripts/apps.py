"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class TranscriptsConfig(AppConfig):
    name = "transcripts"

    def ready(self) -> None:
        from django_q.signals import post_spawn

        from transcripts import checks, taskqueue  # noqa: F401 (registers the checks)

        taskqueue.install()
        post_spawn.connect(_on_worker_spawn, dispatch_uid="transcripts.keeper")


def _on_worker_spawn(**kwargs: object) -> None:
    from transcripts import tasks  # what only workers need is imported there

    tasks.on_spawn(**kwargs)
