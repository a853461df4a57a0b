"""Fetching, extracting, chunking and storing pages; no question is written here (spec R)."""
