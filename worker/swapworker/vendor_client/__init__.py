"""The vendor's API: its JSON, its replies read as outcomes, and the client that calls it."""
