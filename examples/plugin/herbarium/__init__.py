"""A plugin of Linnaea: a loss, a metric, a network, a rung, and two families with their verbs."""
