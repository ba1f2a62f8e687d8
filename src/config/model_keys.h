/* config/model_keys.h: what the YAML file's `models` may say of one model. One row a key; nothing
 * about a key is written anywhere else.
 *
 * X(ID, "name", TYPE, "default", min, max, "values", "help"), as in config/options.h; but a TEXT
 * has bounds of its bytes, and no key has a default: where it is absent, the option of that name
 * counts, or what the model's files say.
 */
#ifndef QR_CONFIG_MODEL_KEYS_H
#define QR_CONFIG_MODEL_KEYS_H

/* clang-format off */
#define QR_MODEL_KEY_LIST(X) \
    X(NAME, "name", TEXT, "", 1, QR_LIMIT_MODEL_NAME - 1, "NAME", "how requests and metrics call it; the directory's last component without") \
    X(PATH, "path", TEXT, "", 1, QR_PATH_BYTES - 1, "PATH", "its directory or .onnx file; required") \
    X(DEVICE, "device", DEVICE, "", 0, 0, "cpu[:ISA]|cuda[:N]|auto", "where it runs") \
    X(PRECISION, "precision", CHOICE, "", 0, 0, "auto|f32|f16|bf16|int8", "arithmetic of its plan") \
    X(BUDGET_MS, "budget-ms", NUMBER, "", 1, QR_LIMIT_BUDGET_MS, "MS", "latency budget of its requests that bring none") \
    X(MAX_TOKENS, "max-tokens", NUMBER, "", 3, QR_LIMIT_POSITIONS, "N", "its longest input, shorter than its own maximum") \
    X(POOLING, "pooling", TEXT, "", 1, 64, "NAME", "how an embedding model pools, whatever its files say") \
    X(PROMPT, "prompt", TEXT, "", 1, 128, "NAME", "the prompt of its files for requests that name none")
/* clang-format on */

#endif
