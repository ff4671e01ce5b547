"""Training and, later, measuring what the engine understands; nothing here answers a contact."""
