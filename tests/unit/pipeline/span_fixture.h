/* tests: windows made by hand. */
#ifndef QR_TESTS_SPAN_FIXTURE_H
#define QR_TESTS_SPAN_FIXTURE_H

#include "pipeline/pipeline.h"

#define FIXTURE_CLS 101
#define FIXTURE_SEP 102

/** Fills `out` with [CLS] (question tokens) [SEP] (tokens of the context) [SEP]. `marked` is the
 * context with `|` where a word is cut into tokens and ` ` between words: "Ci|ty Hall". Words are
 * numbered as the context's words from `first_word` on, and offsets start at `first_byte`. Freed by
 * fixture_free. */
void fixture_window(qr_encoding *out, size_t question_tokens, const char *marked, size_t first_byte,
                    uint32_t first_word);

void fixture_free(qr_encoding *window);

/** The window's token index of its n-th context token. */
size_t fixture_token(const qr_encoding *window, size_t n);

#endif
