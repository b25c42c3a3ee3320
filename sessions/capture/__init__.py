"""One live connection of one participant: from frames to whoever listens."""
