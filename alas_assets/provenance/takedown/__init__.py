"""Taking a source down: what would go, removing it everywhere, and searching for what is left (spec A3)."""
