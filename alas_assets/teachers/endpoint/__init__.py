"""Calls to an OpenAI-compatible endpoint: paid for once, within a budget, at a bounded rate (S11, O4, O5, O7).

What is asked and how an answer is read is `teachers.llm`'s; nothing here knows a topic, a pair or a grade.
"""
