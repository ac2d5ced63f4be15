"""Groups of images: what is learnt, decided and judged by them."""
