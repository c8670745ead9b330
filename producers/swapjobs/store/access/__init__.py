"""Who may use the gateway: its keys, and who is signed in to its console with one of them."""
