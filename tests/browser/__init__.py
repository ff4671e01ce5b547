"""Pages in a real browser, against a whole engine."""
