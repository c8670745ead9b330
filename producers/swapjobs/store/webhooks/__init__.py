"""What is delivered to receivers: endpoints, deliveries, and the log of those."""
