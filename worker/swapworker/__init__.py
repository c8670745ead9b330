"""The worker: claims swap jobs, calls the vendor, delivers webhooks."""
