import gradio as gr


def split(amount: float, people: int) -> str:
    if people < 1:
        raise gr.Error("Somebody has to pay.")
    return f"{amount / people:.2f} each"


demo = gr.Interface(
    fn=split,
    inputs=[gr.Number(label="Amount"), gr.Slider(1, 20, value=2, step=1, label="People")],
    outputs=gr.Textbox(label="Share"),
    examples=[[60, 4], [99.9, 3]],
    api_name="split",
)

if __name__ == "__main__":
    demo.launch()
