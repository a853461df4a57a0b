"""The child process that trains: SFT, DPO, their specification and manifest (spec T, D3)."""
