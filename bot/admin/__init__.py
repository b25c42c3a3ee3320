"""The admin of what is done for calls, and of the installation as a whole."""

from __future__ import annotations

from bot.admin import calls, charts, pages

__all__ = ["calls", "charts", "pages"]
