/* tests: writes small model directories with the reproducible random weights of tools/make_model.py
 * (same rule, in C). */
#ifndef QR_TESTS_MODEL_MAKER_H
#define QR_TESTS_MODEL_MAKER_H

#include "engine/model/model.h"

struct model_options {
    bool distilbert, electra; /* neither: bert */
    size_t layers, hidden, heads, feed_forward, vocab, positions;
    size_t types;           /* 0: 2 */
    const char *activation; /* NULL: "gelu" */
    double eps;             /* 0: 1e-12 */
    const char *head;       /* NULL: none; "span", "labels", "tokens" */
    size_t labels;
    const char *dtype;   /* NULL: "f32"; "f16", "bf16" */
    const char *prefix;  /* NULL: none for a bare encoder, "bert." or "distilbert." under a head */
    bool old_names;      /* LayerNorm.gamma and .beta (BERT only) */
    const char *pooling; /* NULL: no modules.json; names with "+" between them: with Normalize */
    const char *dense;   /* with pooling: "40:Tanh,24:ReLU:nobias:residual", modules behind it */
    bool leaves_out_prompt; /* include_prompt is false */
    size_t embedding;       /* 0: as hidden; ELECTRA's size of embeddings */
    uint64_t seed;
};

/** A fresh temporary directory, into `out`. */
void temp_dir_create(char out[64]);

/** Removes it with its files (one level of folders deep). */
void temp_dir_remove(const char *dir);

/** Writes config.json, model.safetensors and, with pooling, modules.json and its modules' files. */
void make_model(const char *dir, const struct model_options *options);

/** Opens the model in `dir` and reads its weights. */
qr_status read_model(const char *dir, qr_bert **out, qr_error *error);

/** Writes dir/name. */
void write_file(const char *dir, const char *name, const void *data, size_t len);
void write_text(const char *dir, const char *name, const char *text);

/** Reads dir/name, NUL behind it; free() it. */
char *read_file(const char *dir, const char *name, size_t *len);

/** splitmix64's rule: u(i) of the tensor `name` in [-1, 1). */
float draw(const char *name, uint64_t seed, uint64_t i);

#endif
