"""A stand-in for a teacher's endpoint: it answers in OpenAI's wire formats from recorded question-answer pairs.

It is not a model. It knows nothing but the pairs it was given, finds them by the text that a prompt shows, and grades and revises by
plain rules, so that the loop can be run, measured and tested without an account. `python -m alas_assets.standin --help` says how to
start it; nothing else in the project imports it.
"""
