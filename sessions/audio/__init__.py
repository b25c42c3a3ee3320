"""Pure sound: positions, formats, resampling. No Django, no asyncio, no clock."""
