"""A run, what it was judged on and what came since, brought before the monitors."""
