"""The engine's tests; test_<module>.py mirrors bot/."""
