"""The console: where agents answer."""
