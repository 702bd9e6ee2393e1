"""Alarms: what of the store a person should look at, and what they have been told of already."""
