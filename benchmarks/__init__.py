"""Side by side with the manual recipe."""
