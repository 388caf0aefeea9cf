"""Helpers that need neither a model nor a data set."""
