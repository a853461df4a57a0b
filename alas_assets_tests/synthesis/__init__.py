"""Tests of curation, probes, leak check, training rows and preference pairs."""
