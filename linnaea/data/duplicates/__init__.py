"""Images that are the same image: found among similar thumbnails, laid over one another, judged in detail."""
