"""What a Space needs to run: its Python, its packages, and a virtual environment that holds them."""
