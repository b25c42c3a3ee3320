"""What templates of every package may ask: reads only."""
