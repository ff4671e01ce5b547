"""Tests of Rasa's side, run in Rasa's own environment."""
