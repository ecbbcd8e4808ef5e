"""From speech and emotion to motion."""
