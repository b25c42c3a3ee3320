"""Fuzzers over the readers of what strangers send: `targets` says what, `running` how."""
