"""What a domain is: description, sources, budgets, thresholds, read from TOML files (spec P1, O5)."""
