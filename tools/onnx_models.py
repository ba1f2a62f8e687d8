"""The small random models that tools/make_onnx.py exports, as torch modules.

A model is what tools/make_model.py writes, read by transformers, with every matrix made larger: attention is then far from
uniform, so that a mask, a scale or a head that is read wrongly moves the outputs.
"""
import torch
from make_model import make_model
from transformers import (AutoModel, AutoModelForQuestionAnswering, AutoModelForSequenceClassification,
                          AutoModelForTokenClassification)

BASE = {"layers": 2, "hidden": 32, "heads": 4, "feed_forward": 40, "vocab": 84, "positions": 40, "types": 2}
HEADS = {"none": AutoModel, "span": AutoModelForQuestionAnswering, "labels": AutoModelForSequenceClassification,
         "tokens": AutoModelForTokenClassification}
GAIN = 6  # of make_model's u/16


def directory(out, options):
    """Writes the model's directory in Hugging Face's layout; returns what was asked for, with the sizes of BASE."""
    options = BASE | options
    make_model(out, **options)
    return options


@torch.no_grad()
def encoder(out, options, attention="eager", half=False):
    """The model of a directory; without a pooler unless the options ask for one."""
    head, bert = options.get("head", "none"), options.get("family", "bert") == "bert"
    more = {"add_pooling_layer": options.get("pooler", False)} if head == "none" and bert else {}
    model = HEADS[head].from_pretrained(out, dtype=torch.float32, attn_implementation=attention, **more)
    for name, weight in model.named_parameters():
        if "LayerNorm" not in name and "layer_norm" not in name and "embeddings." not in name:
            weight *= GAIN if weight.dim() == 2 else 2
    model.config.return_dict = False
    return (model.half() if half else model).eval()


class Sentence(torch.nn.Module):
    """A text's vector as sentence-transformers' Pooling and Normalize compute it, in the graph."""

    def __init__(self, model, pooling, normalize, hidden_too=False):
        super().__init__()
        self.model, self.pooling, self.normalize, self.hidden_too = model, pooling, normalize, hidden_too

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask, **types)[0]
        mask = attention_mask.unsqueeze(-1).expand(hidden.size()).to(hidden.dtype)
        if self.pooling == "cls":
            pooled = hidden[:, 0]
        elif self.pooling == "max":
            pooled = hidden.masked_fill(mask == 0, -1e9).max(1)[0]
        else:
            pooled = (hidden * mask).sum(1) / torch.clamp(mask.sum(1), min=1e-9)
        if self.normalize:
            pooled = torch.nn.functional.normalize(pooled, p=2, dim=1)
        return (hidden, pooled) if self.hidden_too else (pooled,)
