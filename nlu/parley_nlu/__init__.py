"""What Parley adds to Rasa: a channel, a store that keeps nothing, and components; it never imports the engine."""
