"""The model that learns: preparing it, answering in batches, embedding text (spec T, E5)."""
