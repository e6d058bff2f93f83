"""What the code of a Space loads and needs: models, memory, secrets, places."""
