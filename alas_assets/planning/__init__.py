"""From a domain description to an ordered syllabus, and from scores to the next one (spec P, V)."""
