"""The vendor's tools: one table, one row for each."""
