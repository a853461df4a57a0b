"""Ids, content hashes, the artifact store and the walk from an answer back to its source (spec A)."""
