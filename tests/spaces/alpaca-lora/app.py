import gradio as gr
import torch
import transformers
from peft import PeftModel

assert (
    "LlamaTokenizer" in transformers._import_structure["models.llama"]
), "This transformers has no LLaMA; install it from its main branch."
from transformers import GenerationConfig, LlamaForCausalLM, LlamaTokenizer

BASE_MODEL = "decapoda-research/llama-7b-hf"
LORA_WEIGHTS = "tloen/alpaca-lora-7b"

device = "cuda" if torch.cuda.is_available() else "cpu"

tokenizer = LlamaTokenizer.from_pretrained(BASE_MODEL)

if device == "cuda":
    model = LlamaForCausalLM.from_pretrained(
        BASE_MODEL, load_in_8bit=True, torch_dtype=torch.float16, device_map="auto"
    )
    model = PeftModel.from_pretrained(model, LORA_WEIGHTS, torch_dtype=torch.float16)
    model.half()
else:
    model = LlamaForCausalLM.from_pretrained(BASE_MODEL, device_map={"": device}, low_cpu_mem_usage=True)
    model = PeftModel.from_pretrained(model, LORA_WEIGHTS, device_map={"": device})

model.eval()
if torch.__version__ >= "2":
    model = torch.compile(model)


def prompt_for(instruction, context):
    if context:
        return (
            "Below is an instruction that describes a task, paired with an input that provides further context. "
            "Write a response that appropriately completes the request.\n\n"
            f"### Instruction:\n{instruction}\n\n### Input:\n{context}\n\n### Response:"
        )
    return (
        "Below is an instruction that describes a task. "
        "Write a response that appropriately completes the request.\n\n"
        f"### Instruction:\n{instruction}\n\n### Response:"
    )


def evaluate(instruction, context, temperature, top_p, top_k, beams, max_new_tokens):
    inputs = tokenizer(prompt_for(instruction, context), return_tensors="pt")
    config = GenerationConfig(temperature=temperature, top_p=top_p, top_k=int(top_k), num_beams=int(beams))
    with torch.no_grad():
        generated = model.generate(
            input_ids=inputs["input_ids"].to(device),
            generation_config=config,
            return_dict_in_generate=True,
            output_scores=True,
            max_new_tokens=int(max_new_tokens),
        )
    return tokenizer.decode(generated.sequences[0]).split("### Response:")[1].strip()


gr.Interface(
    fn=evaluate,
    inputs=[
        gr.components.Textbox(lines=2, label="Instruction", placeholder="Tell me about alpacas."),
        gr.components.Textbox(lines=2, label="Input", placeholder="none"),
        gr.components.Slider(minimum=0, maximum=1, value=0.1, label="Temperature"),
        gr.components.Slider(minimum=0, maximum=1, value=0.75, label="Top p"),
        gr.components.Slider(minimum=0, maximum=100, step=1, value=40, label="Top k"),
        gr.components.Slider(minimum=1, maximum=4, step=1, value=4, label="Beams"),
        gr.components.Slider(minimum=1, maximum=512, step=1, value=128, label="Max tokens"),
    ],
    outputs=[gr.inputs.Textbox(lines=5, label="Output")],
    title="🦙🌲 Alpaca-LoRA",
    description="LLaMA-7B with a low-rank adapter, trained on the Stanford Alpaca data.",
).launch()
