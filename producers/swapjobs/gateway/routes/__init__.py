"""The routes of the HTTP gateway, one file for each group."""
