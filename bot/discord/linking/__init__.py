"""The link of a call: its voice connection, made, watched and made again."""
