"""From drafts to accepted pairs, probes, training rows and preference pairs (spec S, D1, D2, E1)."""
