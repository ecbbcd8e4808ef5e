"""The bundle on disk and the Avatar that users hold."""
