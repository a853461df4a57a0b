"""Grading, statistics and the exam; nothing here trains or decides (spec E)."""
