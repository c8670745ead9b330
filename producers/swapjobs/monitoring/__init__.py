"""What an operator asks: figures, and whether slots and Redis suffice."""
