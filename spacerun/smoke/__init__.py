"""The smoke test: launch a Space, prove that it works, stop it; for one of them or for hundreds."""
