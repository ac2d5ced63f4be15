"""A plugin of Linnaea: a loss, a metric, a network, a rung, an exporter, and two families with their verbs."""
