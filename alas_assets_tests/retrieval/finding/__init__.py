"""Tests of where pages come from beyond seeds and links; hostile bytes, real files, real local servers."""
