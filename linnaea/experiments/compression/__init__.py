"""A finished run made smaller or faster: what it is worth, how fast it is, and what is told of it."""
