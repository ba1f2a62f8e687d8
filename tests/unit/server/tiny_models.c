#include "server/tiny_models.h"

#include <criterion/criterion.h>

#include "engine/model_maker.h"

static void write_vocab(const char *dir) {
    qr_buf words;
    qr_buf_init(&words, 64u << 10);
    qr_buf_literal(&words, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
    for (int i = 5; i < TINY_WORDS; i++)
        qr_buf_printf(&words, "w%d\n", i);
    write_file(dir, "vocab.txt", words.data, words.len);
    qr_buf_deinit(&words);
}

void tiny_model_write(char dir[64], qr_kind kind, uint64_t seed) {
    struct model_options options = {.layers = 1,
                                    .hidden = TINY_HIDDEN,
                                    .heads = 2,
                                    .feed_forward = 64,
                                    .vocab = TINY_WORDS,
                                    .positions = TINY_POSITIONS,
                                    .seed = seed};
    if (kind == QR_KIND_SPAN)
        options.head = "span";
    if (kind == QR_KIND_CLASSIFIER || kind == QR_KIND_RERANKER)
        options.head = "labels";
    options.labels = kind == QR_KIND_CLASSIFIER ? 3 : 1;
    temp_dir_create(dir);
    make_model(dir, &options);
    write_vocab(dir);
}

void tiny_model_remove(const char *dir) {
    temp_dir_remove(dir);
}

qr_pipeline *tiny_model(const char *name, qr_kind kind, uint64_t seed) {
    char dir[64];
    qr_pipeline *pipeline;
    qr_error error = {0};
    tiny_model_write(dir, kind, seed);
    const qr_pipeline_options load = {.name = name, .precision = QR_PRECISION_F32, .threads = 1};
    cr_assert_eq(qr_pipeline_load(dir, &load, &pipeline, &error), QR_OK, "%s", error.message);
    tiny_model_remove(dir);
    return pipeline;
}

qr_serving *tiny_serving(qr_pipeline *const *models, size_t len,
                         const qr__served_options *options) {
    static const qr__served_options plain = {.workers = 1, .batch_tokens = TINY_POSITIONS};
    qr_serving_entry entries[QR_LIMIT_MODELS] = {0};
    qr_serving *serving;
    qr_error error = {0};
    for (size_t i = 0; i < len; i++) {
        entries[i] = (qr_serving_entry){.name = qr_pipeline_name(models[i]),
                                        .kind = qr_pipeline_kind(models[i])};
        cr_assert_eq(qr__served_create(options == NULL ? &plain : options, models[i],
                                       &entries[i].model, &error),
                     QR_OK, "%s", error.message);
    }
    cr_assert_eq(qr_serving_create(entries, len, &serving), QR_OK);
    for (size_t i = 0; i < len; i++)
        qr__served_unpin(entries[i].model);
    return serving;
}
