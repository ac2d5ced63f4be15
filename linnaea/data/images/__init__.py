"""From image files to pixels: what a file says of itself, whether it is whole, its pixels, and how these look."""
