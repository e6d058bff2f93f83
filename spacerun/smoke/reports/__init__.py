"""What a smoke test tells: on the terminal, to CI services, in a browser."""
