"""Signed webhooks (Standard Webhooks 1.0): which addresses may be called, one delivery, and when to try again."""
