"""The bot process: Discord, the phone, and the house-keeping of every source.

Top of the three apps: imports `transcripts` and `sessions`, imported by nobody.
"""
