"""What people are told and read in Discord, as messages."""
