"""Synthetic audio: speech, other sounds, and the random channel that both go through."""
