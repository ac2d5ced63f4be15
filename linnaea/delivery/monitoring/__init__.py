"""Monitoring: whether what is seen and what is answered are still what the model was judged on."""
