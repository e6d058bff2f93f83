"""GPUs: which there are, what is free on them, and which of them an app gets."""
