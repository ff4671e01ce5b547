"""The simulator: a phone in the browser and what the engine made of its texts."""
