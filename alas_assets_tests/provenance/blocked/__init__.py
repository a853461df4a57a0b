"""Tests of `alas_assets.provenance.blocked`."""
