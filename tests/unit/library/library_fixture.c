#include "library/library_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "engine/model_maker.h"

#define WORDS 200

void tiny_write(char dir[64], const char *head, size_t labels) {
    const struct model_options options = {.layers = 1,
                                          .hidden = HIDDEN,
                                          .heads = 2,
                                          .feed_forward = 64,
                                          .vocab = WORDS,
                                          .positions = LONGEST,
                                          .head = head,
                                          .labels = labels,
                                          .seed = 5};
    qr_buf words;
    qr_buf_init(&words, 64u << 10);
    qr_buf_literal(&words, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
    for (int i = 5; i < WORDS; i++)
        qr_buf_printf(&words, "w%d\n", i);
    temp_dir_create(dir);
    make_model(dir, &options);
    write_file(dir, "vocab.txt", words.data, words.len);
    qr_buf_deinit(&words);
}

qr_lib_model *tiny_load(const char *head, size_t labels, int threads, int calls_most) {
    char dir[64];
    qr_lib_model *model;
    qr_lib_error error;
    tiny_write(dir, head, labels);
    const qr_lib_load_options options = {
        .struct_size = sizeof options, .threads = threads, .calls_most = calls_most};
    qr_lib_status status = qr_lib_model_load(dir, &options, &model, &error);
    cr_assert_eq(status, QR_LIB_OK, "%s", error.message);
    cr_assert_str_eq(error.message, "");
    temp_dir_remove(dir);
    return model;
}

qr_lib_text text_make(unsigned seed, size_t words) {
    qr_buf out;
    qr_buf_init(&out, 64u << 10);
    for (size_t i = 0; i < words; i++) {
        seed = seed * 1664525u + 1013904223u;
        qr_buf_printf(&out, "w%u ", 5 + (seed >> 8) % (WORDS - 5));
    }
    char *data = malloc(out.len + 1);
    cr_assert(data != NULL);
    memcpy(data, out.data == NULL ? "" : out.data, out.len);
    qr_lib_text text = {data, out.len};
    qr_buf_deinit(&out);
    return text;
}

qr_lib_text text_of(const char *string) {
    return (qr_lib_text){string, strlen(string)};
}
