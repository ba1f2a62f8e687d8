/* tests: patched models. */
#include "model_patch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

const struct model_options tiny_model = {
    .layers = 1, .hidden = 4, .heads = 2, .feed_forward = 5, .vocab = 6, .positions = 3, .seed = 7};

/* text with its first `from` replaced, in `out`. */
static void replace(qr_text text, const char *from, const char *to, qr_buf *out) {
    const char *at = memmem(text.data, text.len, from, strlen(from));
    cr_assert_not_null(at, "no \"%s\" in %.*s", from, (int)qr_min(text.len, 2000), text.data);
    size_t before = (size_t)(at - text.data);
    qr_buf_append(out, text.data, before);
    qr_buf_append(out, to, strlen(to));
    qr_buf_append(out, at + strlen(from), text.len - before - strlen(from));
}

void patch_file(const char *dir, const char *name, const char *from, const char *to) {
    size_t len;
    char *data = read_file(dir, name, &len);
    qr_buf out;
    qr_buf_init(&out, 1 << 24);
    replace((qr_text){data, len}, from, to, &out);
    write_file(dir, name, out.data, out.len);
    qr_buf_deinit(&out);
    free(data);
}

void write_weights(const char *dir, uint64_t length, qr_text header, const void *data,
                   size_t data_bytes) {
    qr_buf out;
    qr_buf_init(&out, 1 << 24);
    qr_buf_append(&out, &length, 8);
    qr_buf_text(&out, header);
    qr_buf_append(&out, data, data_bytes);
    cr_assert(!qr_buf_failed(&out));
    write_file(dir, "model.safetensors", out.data, out.len);
    qr_buf_deinit(&out);
}

void patch_header(const char *dir, const char *from, const char *to) {
    size_t len;
    uint64_t length;
    char *data = read_file(dir, "model.safetensors", &len);
    memcpy(&length, data, 8);
    qr_buf out;
    qr_buf_init(&out, 1 << 24);
    replace((qr_text){data + 8, (size_t)length}, from, to, &out);
    write_weights(dir, out.len, (qr_text){out.data, out.len}, data + 8 + length,
                  len - 8 - (size_t)length);
    qr_buf_deinit(&out);
    free(data);
}

char *read_header(const char *dir, size_t *header_bytes, size_t *data_bytes) {
    size_t len;
    uint64_t length;
    char *data = read_file(dir, "model.safetensors", &len);
    memcpy(&length, data, 8);
    *header_bytes = (size_t)length;
    *data_bytes = len - 8 - *header_bytes;
    memmove(data, data + 8, *header_bytes);
    data[*header_bytes] = '\0';
    return data;
}

char *tensor_in(const char *dir, char *file, const char *name) {
    size_t header_bytes, data_bytes;
    char *header = read_header(dir, &header_bytes, &data_bytes), key[128];
    snprintf(key, sizeof key, "\"%s\"", name);
    const char *entry = strstr(header, key);
    cr_assert_not_null(entry, "%s", name);
    const char *offsets = strstr(entry, "\"data_offsets\":[");
    cr_assert_not_null(offsets, "%s", name);
    size_t begin = strtoull(offsets + strlen("\"data_offsets\":["), NULL, 10);
    free(header);
    return file + 8 + header_bytes + begin;
}

qr_bert *load_good(const char *dir) {
    qr_bert *bert = NULL;
    qr_error error = {0};
    cr_assert_eq(read_model(dir, &bert, &error), QR_OK, "%s", error.message);
    return bert;
}

void load_refused(const char *dir, const char *const texts[3]) {
    qr_bert *bert = NULL;
    qr_error error = {0};
    qr_status status = read_model(dir, &bert, &error);
    cr_assert(status == QR_BAD_MODEL || status == QR_IO || status == QR_TOO_LARGE, "status %s: %s",
              qr_status_name(status), error.message);
    cr_assert_eq(error.status, status);
    cr_assert_null(bert);
    for (size_t i = 0; i < 3 && texts[i] != NULL; i++)
        cr_assert_not_null(strstr(error.message, texts[i]), "no \"%s\" in: %s", texts[i],
                           error.message);
}
