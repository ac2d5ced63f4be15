"""The ways an image becomes square, by name."""

FITS = ("crop", "pad", "stretch")
