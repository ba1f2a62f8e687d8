#include "tokenizer_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const names[] = {"tokenizer.json", "tokenizer_config.json",
                                    "special_tokens_map.json", "vocab.txt"};

char *fixture_dir(void) {
    char template[] = "/tmp/qr_tokenizer.XXXXXX";
    cr_assert_not_null(mkdtemp(template));
    return strdup(template);
}

void fixture_remove(char *dir) {
    char path[QR_PATH_BYTES];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (qr_file_join(dir, names[i], path, sizeof path))
            unlink(path);
    rmdir(dir);
    free(dir);
}

void fixture_write(const char *dir, const char *name, qr_text content) {
    char path[QR_PATH_BYTES];
    cr_assert(qr_file_join(dir, name, path, sizeof path));
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(content.data, 1, content.len, file), content.len);
    cr_assert_eq(fclose(file), 0);
}

static const char *or_default(const char *section, const char *fallback) {
    return section == NULL ? fallback : section;
}

void fixture_write_json(const char *dir, tokenizer_sections sections) {
    qr_buf json;
    qr_buf_init(&json, 1 << 20);
    qr_buf_printf(
        &json,
        "{\"version\":\"1.0\",\"truncation\":{\"max_length\":8},\"padding\":{\"strategy\":{"
        "\"Fixed\":9}},"
        "\"added_tokens\":%s,\"normalizer\":%s,\"pre_tokenizer\":%s,\"post_processor\":%s,"
        "\"decoder\":%s,"
        "\"model\":%s}",
        or_default(sections.added,
                   "[" TEST_ADDED("4", "[MASK]",
                                  "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
                                  "\"normalized\":false,\"special\":true") "]"),
        or_default(sections.normalizer, TEST_NORMALIZER("true", "true", "null", "true")),
        or_default(sections.pre_tokenizer, "{\"type\":\"BertPreTokenizer\"}"),
        or_default(sections.post_processor,
                   "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]}"),
        or_default(sections.decoder, "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}"),
        or_default(sections.model, TEST_MODEL(TEST_VOCAB)));
    cr_assert_not(qr_buf_failed(&json));
    fixture_write(dir, "tokenizer.json", (qr_text){json.data, json.len});
    qr_buf_deinit(&json);
}

qr_tokenizer *fixture_load(tokenizer_sections sections) {
    char *dir = fixture_dir();
    fixture_write_json(dir, sections);
    qr_tokenizer *tokenizer;
    qr_error error = {0};
    qr_status status = qr_tokenizer_load(dir, &tokenizer, &error);
    cr_assert_eq(status, QR_OK, "%s", error.message);
    fixture_remove(dir);
    return tokenizer;
}

void fixture_refused(const char *dir, const char *part) {
    qr_tokenizer *tokenizer = (qr_tokenizer *)1;
    qr_error error = {0};
    qr_status status = qr_tokenizer_load(dir, &tokenizer, &error);
    cr_expect_eq(status, QR_BAD_MODEL, "status %s for: %s", qr_status_name(status), part);
    cr_expect_null(tokenizer);
    cr_expect_eq(error.status, QR_BAD_MODEL);
    cr_expect_not_null(strstr(error.message, part), "\"%s\" is not in: %s", part, error.message);
    cr_expect_not_null(strstr(error.message, dir), "no file in: %s", error.message);
    cr_expect_not_null(strchr(error.message, '('), "no hint in: %s", error.message);
}

static const char *listed(const qr_encoding *encoding, bool offsets) {
    static char text[2][4096];
    char *out = text[offsets];
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < encoding->len && at < sizeof text[0] - 32; i++) {
        const char *gap = i == 0 ? "" : " ";
        at += (size_t)(offsets ? snprintf(out + at, 32, "%s%u-%u", gap, encoding->begin[i],
                                          encoding->end[i])
                               : snprintf(out + at, 32, "%s%d", gap, (int)encoding->ids[i]));
    }
    return out;
}

const char *fixture_ids(const qr_encoding *encoding) {
    return listed(encoding, false);
}
const char *fixture_offsets(const qr_encoding *encoding) {
    return listed(encoding, true);
}
