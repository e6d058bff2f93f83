"""Spaces that bring a Dockerfile: the engine, the image, the container; and the Dockerfile read without an engine."""
