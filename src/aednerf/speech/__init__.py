"""From sound to features, streaming."""
