"""Classical features in plain operations: what libraries compute, as modules that other runtimes can take over."""
