"""From rays to pictures; the field is a callable."""
