"""Signing in: by name and password, or with Discord; django-allauth does the work.

Only the few of its pages that we want have addresses here, drawn by our templates.
"""
