"""Bundles: a policy with everything needed to check it and to decide with it, without torch or a database."""
