"""Discord: voice channels that we are in, and what is said in them."""
