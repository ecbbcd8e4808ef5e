"""The dynamic radiance field of the head, and the torso."""
