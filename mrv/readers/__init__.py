"""Readers of what people hand in: every file is hostile until checked, every fault becomes a `Problem`."""
