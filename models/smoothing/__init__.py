"""Smoothed policies at play: the episodes whose values a certificate is computed from, and attacks on them."""
