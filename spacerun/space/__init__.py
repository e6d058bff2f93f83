"""Which Space, and its files on this disk."""
