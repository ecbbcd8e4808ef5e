"""The prepared recording on disk."""
