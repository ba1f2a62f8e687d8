"""Models of every family and head for test_convert.py and tools/convert_check.py."""

# What make_model makes, and as what it is written.
CASES = {
    "bert": ({"pooler": True}, "BertModel"),
    "bert-no-pooler": ({}, "BertModel"),
    "bert-span": ({"head": "span"}, "BertForQuestionAnswering"),
    "bert-labels": ({"head": "labels", "label_names": ["no", "ja \"&\" <b>", "no"]}, "BertForSequenceClassification"),
    "bert-tokens": ({"head": "tokens", "labels": 5}, "BertForTokenClassification"),
    "bert-half": ({"dtype": "f16", "eps": 1e-7, "activation": "gelu_new"}, "BertModel"),
    "bert-max": ({"pooling": "max", "normalize": False, "max_seq_length": 17}, "BertModel"),
    "bert-dense": ({"pooling": "mean+cls", "dense": "40:Tanh,40:ReLU:nobias:residual,24:GELU:residual", "include_prompt": False,
                    "prompts": '{"query": "best "}'}, "BertModel"),
    "bert-poolings": ({"pooling": "cls+max+lasttoken", "pooler": True}, "BertModel"),
    "distilbert": ({"family": "distilbert"}, "DistilBertModel"),
    "distilbert-span": ({"family": "distilbert", "head": "span"}, "DistilBertForQuestionAnswering"),
    "distilbert-labels": ({"family": "distilbert", "head": "labels"}, "DistilBertForSequenceClassification"),
    "electra-small": ({"family": "electra", "embedding": 32}, "ElectraModel"),
    "electra-labels": ({"family": "electra", "head": "labels"}, "ElectraForSequenceClassification"),
    "electra-span": ({"family": "electra", "head": "span"}, "ElectraForQuestionAnswering"),
}
