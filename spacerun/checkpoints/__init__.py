"""What lies in the files of a model, read without downloading them."""
