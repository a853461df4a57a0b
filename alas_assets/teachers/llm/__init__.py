"""The teacher that is a language model: what it is asked (`prompts`), and how its answers are read (S1, S3, P1, E2, V1).

How calls reach an endpoint, at what rate and price, is `teachers.endpoint`'s.
"""

from alas_assets.teachers.llm.asking import Hooks, Trouble
from alas_assets.teachers.llm.prompts import prompt_versions
from alas_assets.teachers.llm.teacher import LanguageModelTeacher

__all__ = ["Hooks", "LanguageModelTeacher", "Trouble", "prompt_versions"]
