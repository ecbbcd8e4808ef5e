"""Emotion labels, mixtures and tracks."""
