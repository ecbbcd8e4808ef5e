"""A computer-generated person: a script becomes a capture whose every value is known exactly."""
