"""Talking: what we say to people, and who thinks of it, for every source alike."""
