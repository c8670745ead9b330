"""The rehearsal kit: a local vendor that really swaps faces, an embedded Redis, a receiver and the demo."""
