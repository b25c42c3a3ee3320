"""What a call does in a guild, and how it is undone."""
