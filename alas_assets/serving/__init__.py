"""Serving a domain's current model over HTTP, and proving that what answers is what was evaluated (G5)."""
