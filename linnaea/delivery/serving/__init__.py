"""Serving: a small server, bounded by default, that answers what `predict` answers."""
