typedef int qr_placeholder_tokenizer;
