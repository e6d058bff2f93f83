"""Clone and launch any Hugging Face Space on your own GPU machine."""

__version__ = "0.1.0"
