"""Tests of `alas_assets.teachers`."""
