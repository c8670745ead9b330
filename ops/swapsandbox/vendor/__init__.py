"""The sandbox's vendor: its API, its ledger, and the faults that it can be told to have."""
