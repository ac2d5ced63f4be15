"""Explanations, from the options that ask for them to the folder that holds them."""
