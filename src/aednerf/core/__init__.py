"""Units, errors and records that every other part speaks in; imports nothing heavier than NumPy."""
