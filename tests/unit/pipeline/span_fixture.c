/* tests: windows made by hand. */
#include "span_fixture.h"

#include <stdlib.h>

static void put(qr_encoding *out, int32_t id, uint8_t type, bool special, size_t begin, size_t end,
                uint32_t word) {
    size_t at = out->len++;
    out->ids[at] = id;
    out->types[at] = type;
    out->special[at] = special;
    out->begin[at] = (uint32_t)begin;
    out->end[at] = (uint32_t)end;
    out->word[at] = word;
}

void fixture_window(qr_encoding *out, size_t question_tokens, const char *marked, size_t first_byte,
                    uint32_t first_word) {
    size_t room = strlen(marked) + question_tokens + 4;
    *out = (qr_encoding){.capacity = room};
    out->ids = calloc(room, sizeof *out->ids);
    out->types = calloc(room, 1);
    out->special = calloc(room, 1);
    out->begin = calloc(room, sizeof *out->begin);
    out->end = calloc(room, sizeof *out->end);
    out->word = calloc(room, sizeof *out->word);
    put(out, FIXTURE_CLS, 0, true, 0, 0, QR_NO_WORD);
    for (size_t i = 0; i < question_tokens; i++)
        put(out, 200 + (int32_t)i, 0, false, i, i + 1, (uint32_t)i);
    put(out, FIXTURE_SEP, 0, true, 0, 0, QR_NO_WORD);
    size_t byte = first_byte, begin = first_byte;
    for (const char *p = marked;; p++) {
        if (*p != ' ' && *p != '|' && *p != '\0') {
            byte++;
            continue;
        }
        if (byte > begin)
            put(out, 300 + (int32_t)out->len, 1, false, begin, byte, first_word);
        byte += *p == ' ';
        first_word += *p == ' ';
        begin = byte;
        if (*p == '\0')
            break;
    }
    put(out, FIXTURE_SEP, 1, true, 0, 0, QR_NO_WORD);
}

void fixture_free(qr_encoding *window) {
    free(window->ids);
    free(window->types);
    free(window->special);
    free(window->begin);
    free(window->end);
    free(window->word);
    *window = (qr_encoding){0};
}

size_t fixture_token(const qr_encoding *window, size_t n) {
    for (size_t t = 0; t < window->len; t++)
        if (window->types[t] == 1 && !window->special[t] && n-- == 0)
            return t;
    abort();
}
