"""The face model, its landmarks, and the tracking of a recorded head."""
