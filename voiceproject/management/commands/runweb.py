"""`manage.py runweb`: the web process."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Serve pages, the API and the WebSockets at WEB_HOST and WEB_PORT."

    def handle(self, *args: Any, **options: Any) -> None:
        # Here, not above: the import takes the process's event loop for Twisted.
        from voiceproject import web

        try:
            web.serve(settings.WEB_HOST, settings.WEB_PORT)
        except web.PortTakenError as e:
            raise CommandError(str(e)) from e
