"""Apps of every version of Gradio: started for real by the slow tests, their `/config` recorded for the fast ones."""
