"""Tests with the real student: what it learns, keeps, learns anew and unlearns."""
