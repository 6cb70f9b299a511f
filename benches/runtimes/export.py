"""Writes the model as an ONNX file, for the runtimes that read one: export.py <model folder> <file>."""

import sys

import torch
from transformers import AutoModel

folder, file = sys.argv[1:]
model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()


class States(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


ids = torch.randint(1000, 20000, (2, 16))
mask = torch.ones_like(ids)
mask[1, 10:] = 0
names = ["input_ids", "attention_mask"]
axes = {name: {0: "batch", 1: "sequence"} for name in [*names, "last_hidden_state"]}
torch.onnx.export(
    States(),
    (ids, mask),
    file,
    input_names=names,
    output_names=["last_hidden_state"],
    dynamic_axes=axes,
    opset_version=17,
    dynamo=False,
)
