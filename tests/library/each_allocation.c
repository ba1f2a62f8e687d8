/* Loads a model and runs a job on it while one allocation fails (fail_allocation.c is preloaded),
 * each in turn; behind the first EACH every STRIDE-th: each_allocation MODEL ORDER EACH STRIDE.
 * Says what was wrong, and nothing when nothing was. */
#include <fcntl.h>
#include <querent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TEXTS 5

typedef struct result {
    float numbers[TEXTS * 64];
    qr_lib_answer answers[3];
    size_t answers_len, tokens;
} result;

static qr_lib_status run_job(qr_lib_model *model, result *out, qr_lib_error *error) {
    static const qr_lib_text texts[TEXTS] = {
        {"a b c", 5}, {"", 0}, {"how tall is everest", 19}, {"\xff\xfe", 2}, {"x y z x y z", 11}};
    const qr_lib_span_options span = {
        .struct_size = sizeof span, .top_k = 3, .max_seq_len = 12, .doc_stride = 2};
    const size_t room = sizeof out->numbers / sizeof out->numbers[0];
    qr_lib_info info = {.struct_size = sizeof info};
    qr_lib_status status = qr_lib_model_get_info(model, &info, error);
    if (status == QR_LIB_OK)
        status = qr_lib_tokenize(model, texts[2], NULL, NULL, 0, &out->tokens, error);
    if (status != QR_LIB_OK)
        return status;
    if (info.kind == QR_LIB_KIND_EMBEDDING)
        return qr_lib_embed(model, texts, TEXTS, NULL, out->numbers, room, error);
    if (info.kind == QR_LIB_KIND_SPAN)
        return qr_lib_span(model, texts[0], texts[2], &span, out->answers, 3, &out->answers_len,
                           error);
    return qr_lib_predict(model, texts, texts, TEXTS, NULL, out->numbers, room, error);
}

static qr_lib_status run(const char *dir, result *out, qr_lib_error *error) {
    const qr_lib_load_options options = {
        .struct_size = sizeof options, .cache_dir = "none", .threads = 1};
    qr_lib_model *model;
    memset(out, 0, sizeof *out);
    qr_lib_status status = qr_lib_model_load(dir, &options, &model, error);
    if (status == QR_LIB_OK)
        status = run_job(model, out, error);
    qr_lib_model_destroy(model);
    return status;
}

int main(int argc, char **argv) {
    static result whole, some;
    static qr_lib_error error;
    int fd = argc == 5 ? open(argv[2], O_RDWR) : -1;
    int *order = mmap(NULL, 2 * sizeof *order, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (order == MAP_FAILED || run(argv[1], &whole, &error) != QR_LIB_OK) {
        printf("nothing could be tried: %s\n", error.message);
        return 1;
    }
    int failed = 1, wrong = 0;
    const long each = strtol(argv[3], NULL, 10), stride = strtol(argv[4], NULL, 10);
    for (long at = 1; failed != 0; at += at < each ? 1 : stride) {
        order[0] = (int)at;
        order[1] = 0;
        qr_lib_status status = run(argv[1], &some, &error);
        failed = order[1];
        order[0] = 0;
        if (status != QR_LIB_OK ? failed == 0 || status != QR_LIB_NO_MEMORY
                                : memcmp(&some, &whole, sizeof some) != 0)
            wrong += printf("allocation %ld: %d, %s\n", at, (int)status, error.message) > 0;
        fprintf(stderr, "%ld\n", at); /* the last one that was tried, should this be a crash */
    }
    return wrong != 0;
}
