"""Tests of the loopback sites and of sharing their server."""
