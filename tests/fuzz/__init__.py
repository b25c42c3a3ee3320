"""Fuzzers over the readers of what strangers send: `targets` which, `running` how."""
