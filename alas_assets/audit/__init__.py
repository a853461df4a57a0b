"""Following ids: from an answer to its source, from a source to what it taught, and what is wrong on the way (spec A1, A2)."""
