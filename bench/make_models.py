"""Prepares the model directories that bench/peers.py measures every engine on.

    make_models.py --minilm models/minilm --out /tmp/models [--only minilm6,bert3,bert12]

Each directory is a Hugging Face model that querent loads as it is, plus what the peers need from the same weights:
  model.onnx           the plain export (opset 17)
  model.fused.onnx     after ONNX Runtime's own transformer optimizer for BERT
  model.int8.onnx      the fused graph, weights quantized per channel, activations dynamically
  ct2/                 CTranslate2's format
  model.q8_0.gguf      llama.cpp's format, matrices in blocks of 32 int8 with a scale each
minilm6 is the real all-MiniLM-L6-v2; bert3 (three layers of BERT-base's width) and bert12 (BERT-base) have random weights from a
fixed seed: good for speed, meaningless for quality. Needs bench/requirements-peers.txt.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

VOCABULARY_FILES = ("vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
RANDOM_MODELS = {"bert3": 3, "bert12": 12}


def write_random_model(directory, layers, vocabulary_from):
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(20)
    config = BertConfig(num_hidden_layers=layers, attn_implementation="eager", position_embedding_type="absolute")
    model = BertModel(config, add_pooling_layer=False)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2:
                weight.normal_(std=0.04)  # twice the usual, so that arithmetic faults would show in the output
    model.save_pretrained(directory)
    for name in VOCABULARY_FILES:
        if (vocabulary_from / name).exists():
            shutil.copy(vocabulary_from / name, directory / name)


def export_onnx(directory):
    import torch
    from transformers import BertModel

    class LastHiddenState(torch.nn.Module):
        def __init__(self, bert):
            super().__init__()
            self.bert = bert

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.bert(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)[0]

    bert = BertModel.from_pretrained(directory, add_pooling_layer=False, attn_implementation="eager").eval()
    example = torch.full((2, 11), 2000, dtype=torch.long)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    torch.onnx.export(
        LastHiddenState(bert).eval(),
        (example, torch.ones_like(example), torch.zeros_like(example)),
        str(directory / "model.onnx"),
        input_names=names,
        output_names=["last_hidden_state"],
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in names + ["last_hidden_state"]},
        opset_version=17,
        dynamo=False,
    )


def export_for_onnxruntime(directory):
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer

    config = json.loads((directory / "config.json").read_text())
    fused = optimizer.optimize_model(
        str(directory / "model.onnx"),
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
        opt_level=1,
    )
    counts = fused.get_fused_operator_statistics()
    print("  fused:", {name: count for name, count in counts.items() if count})
    if counts.get("Attention", 0) != config["num_hidden_layers"]:
        sys.exit(f"{directory}: ONNX Runtime fused {counts.get('Attention', 0)} of {config['num_hidden_layers']} attention "
                 "blocks; a peer that runs unfused would be no fair peer")
    fused.save_model_to_file(str(directory / "model.fused.onnx"))
    quantize_dynamic(
        str(directory / "model.fused.onnx"),
        str(directory / "model.int8.onnx"),
        per_channel=True,
        weight_type=QuantType.QInt8,
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": 1},
    )


def export_for_ctranslate2(directory):
    import ctranslate2

    ctranslate2.converters.TransformersConverter(str(directory)).convert(str(directory / "ct2"), force=True)


def export_for_llama_cpp(directory):
    import gguf
    import torch
    from transformers import BertModel

    config = json.loads((directory / "config.json").read_text())
    layers = config["num_hidden_layers"]
    bert = BertModel.from_pretrained(directory, add_pooling_layer=False).eval()
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, layers)
    writer = gguf.GGUFWriter(directory / "model.q8_0.gguf", "bert")
    writer.add_name(directory.name)
    writer.add_block_count(layers)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    words = (directory / "vocab.txt").read_text(encoding="utf-8").splitlines()
    writer.add_tokenizer_model("bert")
    writer.add_token_list([word[2:] if word.startswith("##") else "\u2581" + word for word in words])  # as its own converter
    writer.add_token_types([gguf.TokenType.NORMAL] * len(words))
    writer.add_token_type_count(config["type_vocab_size"])
    with torch.no_grad():
        for name, weight in bert.state_dict().items():
            mapped = names.get_name(name, try_suffixes=(".weight", ".bias"))
            if mapped is None:
                sys.exit(f"{directory}: llama.cpp has no name for {name}")
            array = weight.float().numpy()
            if array.ndim == 2 and mapped.startswith("blk."):
                kind = gguf.GGMLQuantizationType.Q8_0
                writer.add_tensor(mapped, gguf.quants.quantize(array, kind), raw_dtype=kind)
            else:
                writer.add_tensor(mapped, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minilm", type=Path, required=True, help="all-MiniLM-L6-v2's directory; its vocabulary serves all")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="minilm6,bert3")
    arguments = parser.parse_args()
    for name in arguments.only.split(","):
        directory = arguments.out / name
        directory.mkdir(parents=True, exist_ok=True)
        print(name, flush=True)
        if name == "minilm6":
            shutil.copytree(arguments.minilm, directory, dirs_exist_ok=True)
        elif name in RANDOM_MODELS:
            write_random_model(directory, RANDOM_MODELS[name], arguments.minilm)
        else:
            sys.exit(f"unknown model {name}; choose from minilm6, {', '.join(RANDOM_MODELS)}")
        export_onnx(directory)
        export_for_onnxruntime(directory)
        export_for_ctranslate2(directory)
        export_for_llama_cpp(directory)


if __name__ == "__main__":
    main()
