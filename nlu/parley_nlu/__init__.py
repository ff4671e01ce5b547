"""What Parley adds to Rasa: a channel, a store that keeps nothing, and two components; it never imports the engine."""
