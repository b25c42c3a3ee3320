"""Text to speech: the engines behind one port, and the speaker that everybody uses."""
