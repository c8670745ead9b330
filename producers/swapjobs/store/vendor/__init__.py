"""What is asked of the vendor, through Redis, besides jobs."""
