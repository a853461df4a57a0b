"""The built-in teacher that needs no model, and its rules; `teacher` is the way in.

Nothing here reads a network, a model or a store.
"""

from alas_assets.teachers.extractive.teacher import ExtractiveTeacher

__all__ = ["ExtractiveTeacher"]
