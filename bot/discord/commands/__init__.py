"""What members can ask of the bot: slash commands first, and a prefix where one is set.

Each parses, asks the desk or a service, and answers; nothing else.
"""
