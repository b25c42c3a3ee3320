"""Chaos: people talk over all three roads, everything is broken, and what was said is
compared with what is left of it, sample by sample and word by word."""
