/* Mutated headers: each is refused or describes exactly its data; never a crash, a hang or a read
 * outside. */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <stdlib.h>

#include "engine/model/safetensors.h"
#include "fuzz.h"
#include "model_patch.h"

static void insert(qr_buf *text, size_t at, const char *piece) {
    size_t len = strlen(piece);
    if (qr_buf_reserve(text, len) == NULL)
        return;
    memmove(text->data + at + len, text->data + at, text->len - at);
    memcpy(text->data + at, piece, len);
    text->len += len;
}

static void mutate(qr_buf *text) {
    static const char *const pieces[] = {"0",
                                         "9",
                                         "-",
                                         ",",
                                         ":",
                                         "[",
                                         "]",
                                         "{",
                                         "}",
                                         "\"",
                                         "[0,0]",
                                         "null",
                                         "1e9",
                                         "4294967296",
                                         "18446744073709551615",
                                         "9223372036854775807",
                                         "\"F32\"",
                                         "\"I8\"",
                                         "\\u0000",
                                         "\xc3",
                                         "\xf0\x9f\x98\x80",
                                         "\"a\":{},"};
    size_t at = fuzz_below(text->len);
    size_t len = 1 + fuzz_below(20);
    switch (fuzz_below(6)) {
    case 0:
        text->data[at] = (char)fuzz_below(256);
        break;
    case 1:
        text->data[at] = (char)(text->data[at] ^ 1 << fuzz_below(8));
        break;
    case 2: /* cut out */
        len = qr_min(len, text->len - at);
        memmove(text->data + at, text->data + at + len, text->len - at - len);
        text->len -= len;
        break;
    case 3:
        insert(text, at, pieces[fuzz_below(sizeof pieces / sizeof pieces[0])]);
        break;
    case 4: /* a digit: the numbers are what the rules are about */
        for (size_t i = 0; i < text->len; i++) {
            size_t k = (at + i) % text->len;
            if (text->data[k] >= '0' && text->data[k] <= '9') {
                text->data[k] = (char)('0' + fuzz_below(10));
                break;
            }
        }
        break;
    default: /* two pieces change places */
        if (text->len > 2 * len + 2) {
            char swap[32];
            size_t a = fuzz_below(text->len / 2 - len);
            size_t b = text->len / 2 + fuzz_below(text->len / 2 - len);
            memcpy(swap, text->data + a, len);
            memcpy(text->data + a, text->data + b, len);
            memcpy(text->data + b, swap, len);
        }
    }
    if (text->len == 0)
        qr_buf_byte(text, '{');
}

static size_t element_bytes(const char *dtype) {
    if (strstr(dtype, "64") != NULL)
        return 8;
    if (strstr(dtype, "32") != NULL)
        return 4;
    return strstr(dtype, "16") != NULL ? 2 : 1;
}

static int by_begin(const void *a, const void *b) {
    size_t x = ((const qr__tensor *)a)->begin;
    size_t y = ((const qr__tensor *)b)->begin;
    return x < y ? -1 : x > y;
}

/* The promises of safetensors.h. */
static void check_accepted(const qr__tensors *tensors, size_t data_bytes) {
    size_t sum = 0;
    for (size_t i = 0; i < tensors->count; i++) {
        const qr__tensor *t = &tensors->items[i];
        size_t bytes = element_bytes(t->dtype_name);
        for (size_t k = 0; k < t->rank; k++)
            cr_assert(qr_checked_mul(bytes, t->shape[k], &bytes));
        cr_assert_eq(bytes, t->bytes);
        cr_assert(t->bytes <= data_bytes && t->begin <= data_bytes - t->bytes);
        cr_assert_eq(qr__tensors_find(tensors, t->name), t);
        sum += t->bytes;
    }
    cr_assert_eq(sum, data_bytes);
    qsort(tensors->items, tensors->count, sizeof *tensors->items, by_begin);
    for (size_t i = 1; i < tensors->count; i++)
        cr_assert_leq(tensors->items[i - 1].begin + tensors->items[i - 1].bytes,
                      tensors->items[i].begin);
}

Test(model_fuzz, mutated_headers, .timeout = 3600) {
    char dir[64];
    size_t header_bytes;
    size_t data_bytes;
    size_t accepted = 0;
    size_t count = fuzz_runs(20000);
    temp_dir_create(dir);
    make_model(dir, &tiny_model);
    char *header = read_header(dir, &header_bytes, &data_bytes);
    temp_dir_remove(dir);
    qr_buf text;
    qr_buf_init(&text, header_bytes * 2);
    for (size_t run = 0; run < count; run++) {
        qr__tensors tensors;
        qr_error error = {0};
        qr_buf_reset(&text);
        qr_buf_append(&text, header, header_bytes);
        for (size_t i = 1 + fuzz_below(3); i > 0; i--)
            mutate(&text);
        char *exact = malloc(text.len); /* so that ASan sees a read past the end */
        memcpy(exact, text.data, text.len);
        if (qr__tensors_parse("f", exact, text.len, data_bytes, &tensors, &error) == QR_OK) {
            check_accepted(&tensors, data_bytes);
            qr__tensors_deinit(&tensors);
            accepted++;
        } else {
            cr_assert_eq(error.status, QR_BAD_MODEL);
            cr_assert_eq(strncmp(error.message, "f: ", 3), 0);
        }
        free(exact);
    }
    cr_log_info("%zu mutated headers: %zu accepted (names changed), the rest refused", count,
                accepted);
    cr_assert_gt(accepted, 0);
    cr_assert_lt(accepted, count / 2);
    qr_buf_deinit(&text);
    free(header);
}
