"""What a takedown leaves on record: its order, what it blocks from then on, and what removed texts are recognised by (spec A3)."""
