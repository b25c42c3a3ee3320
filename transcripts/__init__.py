"""Transcripts: hearing where speech is, and writing down what was said.

Owns utterances, voice detection, speech-to-text and exports. Looks down on `sessions`;
imported by `bot`.
"""
