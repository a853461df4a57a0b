"""Tests of `alas_assets.removal`."""
