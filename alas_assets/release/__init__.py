"""The gate, the registry of promoted adapters and rollback (spec G)."""
