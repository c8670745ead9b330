"""How everything lies in Redis; nothing else sends Redis a command."""
