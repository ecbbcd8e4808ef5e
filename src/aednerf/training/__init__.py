"""Fit the field and the motion network to a capture."""
