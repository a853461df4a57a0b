"""Who plans, writes, grades and revises: the `Teacher` protocol and the teachers that speak it (spec P1, S1, E2, V1)."""
