import gradio as gr

gr.Interface(lambda name: f"hi {name}", "text", "text").launch(share=True)
