"""Streaming video, audio and images in and out."""
