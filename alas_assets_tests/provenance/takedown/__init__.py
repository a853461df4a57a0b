"""Tests of `alas_assets.provenance.takedown`."""
