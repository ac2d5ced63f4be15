"""Images that somebody should look at: their order, the page in which they are labelled, and the server of it."""
