"""ALAS as a Dagster code location: keep a small open language model current in a fast-moving domain.

Import the concrete submodules; nothing is re-exported here so that loading one part never pays for another.
"""
