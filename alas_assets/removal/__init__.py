"""Removing from the store: a source that is taken down, everywhere and for good (spec A3), and what nothing names any more."""
