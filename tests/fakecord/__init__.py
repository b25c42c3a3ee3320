"""A Discord on this machine, for tests: REST, both gateways, UDP voice and MLS.

A discord.py that nobody has changed logs in to it. Nothing here leaves the loopback.
"""
