"""Telephone calls: Asterisk speaks AudioSocket to us, and we speak back."""
