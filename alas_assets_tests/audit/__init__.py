"""Tests of `alas_assets.audit`."""
