"""What the sandbox does for its tools, on the CPU."""
