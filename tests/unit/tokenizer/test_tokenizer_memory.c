/* Allocations counted and made to fail. Sanitizers bring their own malloc: nothing is run there. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>

#include "tokenizer_fixture.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);

static _Thread_local size_t allocations; /* since `counting` was set */
static _Thread_local size_t fail_at;     /* the allocation that fails; 0: none */
static _Thread_local bool counting;

static bool may_allocate(void) {
    return !counting || ++allocations != fail_at;
}

void *malloc(size_t bytes) {
    return may_allocate() ? __libc_malloc(bytes) : NULL;
}
void *calloc(size_t count, size_t bytes) {
    return may_allocate() ? __libc_calloc(count, bytes) : NULL;
}
void *realloc(void *old, size_t bytes) {
    return may_allocate() ? __libc_realloc(old, bytes) : NULL;
}

static void count(size_t failing) {
    allocations = 0;
    fail_at = failing;
    counting = true;
}

#define WITH_ADDED                                                                                 \
    (tokenizer_sections){                                                                          \
        .added = "[" TEST_ADDED("26", "<x>", PLAIN_FLAGS) "," TEST_ADDED(                          \
            "27", "caf",                                                                           \
            "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":true,"         \
            "\"special\":true") "]"}

/* Loads with the n-th allocation of ours failing, for every n, until none fails: QR_NO_MEMORY each
 * time. (jansson 2.14 writes behind its buffer when memory ends while it reads a string, so its own
 * allocations do not take part.) */
static void load_without(const char *dir) {
    size_t failures = 0;
    json_set_alloc_funcs(__libc_malloc, free);
    for (size_t n = 1;; n++) {
        qr_tokenizer *tokenizer;
        qr_error error = {0};
        count(n);
        qr_status status = qr_tokenizer_load(dir, &tokenizer, &error);
        bool reached = allocations >= n;
        counting = false;
        cr_assert_eq(status == QR_OK, tokenizer != NULL);
        cr_assert_eq(status == QR_OK, error.message[0] == '\0');
        qr_tokenizer_destroy(tokenizer);
        if (!reached) {
            cr_expect_eq(status, QR_OK, "%s", error.message);
            break;
        }
        failures++;
        cr_assert_eq(status, QR_NO_MEMORY, "allocation %zu: %s, %s", n, qr_status_name(status),
                     error.message);
    }
    cr_expect_gt(failures, 5);
}

Test(tokenizer_memory, load_json) {
    char *dir = fixture_dir();
    fixture_write_json(dir, WITH_ADDED);
    load_without(dir);
    fixture_remove(dir);
}

Test(tokenizer_memory, load_vocab_txt) {
    char *dir = fixture_dir();
    fixture_write(dir, "vocab.txt", TEXT("[UNK]\n[CLS]\n[SEP]\na\n"));
    fixture_write(dir, "tokenizer_config.json",
                  TEXT("{\"tokenizer_class\": \"BertTokenizer\", \"added_tokens_decoder\": {\"4\": "
                       "{\"content\": "
                       "\"<y>\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
                       "\"normalized\": false, "
                       "\"special\": true}}}"));
    load_without(dir);
    fixture_remove(dir);
}

static void *never(size_t bytes) {
    (void)bytes;
    return NULL;
}

Test(tokenizer_memory, none_for_jansson) {
    char *dir = fixture_dir();
    qr_tokenizer *tokenizer;
    qr_error error = {0};
    fixture_write_json(dir, (tokenizer_sections){0});
    json_set_alloc_funcs(never, free);
    cr_expect_eq(qr_tokenizer_load(dir, &tokenizer, &error), QR_NO_MEMORY);
    cr_expect_not_null(strstr(error.message, "no memory to parse it"));
    fixture_remove(dir);
}

Test(tokenizer_memory, encode) {
    qr_tokenizer *tokenizer = fixture_load(WITH_ADDED);
    static char many[1000];
    memset(many, '.', sizeof many);
    const qr_text text = {many, sizeof many}, pair = TEXT("the caf\xc3\xa9 <x> unaffable");
    for (size_t n = 1;; n++) {
        qr_encoding encoding = {0};
        qr_windows windows = {0};
        count(n);
        qr_status status = qr_tokenizer_encode(tokenizer, text, &pair,
                                               &(qr_encode_options){.special = true}, &encoding);
        qr_status cut = qr_tokenizer_encode_windows(tokenizer, pair, text, 50, 7, &windows);
        bool reached = allocations >= n;
        counting = false;
        cr_assert_eq(status == QR_NO_MEMORY || cut == QR_NO_MEMORY, reached, "allocation %zu", n);
        cr_assert(status == QR_OK || encoding.len == 0);
        cr_assert(cut == QR_OK || windows.len == 0);
        /* What is left can be used again. */
        cr_assert_eq(
            qr_tokenizer_encode(tokenizer, text, &pair, &(qr_encode_options){0}, &encoding), QR_OK);
        cr_assert_eq(qr_tokenizer_encode_windows(tokenizer, pair, text, 50, 7, &windows), QR_OK);
        qr_encoding_deinit(&encoding);
        qr_windows_deinit(&windows);
        if (!reached)
            break;
    }
    qr_tokenizer_destroy(tokenizer);
}

Test(tokenizer_memory, none_once_grown) {
    const tokenizer_sections kinds[] = {{0}, WITH_ADDED};
    const qr_text text =
        TEXT("Unaffable caf\xc3\xa9 <x> \xe4\xb8\xad a\xe3\x80\xaf\xcc\x81 don't [MASK]");
    for (size_t kind = 0; kind < 2; kind++) {
        qr_tokenizer *tokenizer = fixture_load(kinds[kind]);
        qr_encoding encoding = {0};
        qr_windows windows = {0};
        for (size_t round = 0; round < 3; round++) {
            count(0);
            cr_assert_eq(qr_tokenizer_encode(tokenizer, text, &text,
                                             &(qr_encode_options){.special = true}, &encoding),
                         QR_OK);
            cr_assert_eq(qr_tokenizer_encode_windows(tokenizer, TEXT("a"), text, 8, 2, &windows),
                         QR_OK);
            size_t seen = allocations;
            counting = false;
            cr_expect_eq(seen > 0, round == 0, "round %zu: %zu allocations", round, seen);
        }
        qr_encoding_deinit(&encoding);
        qr_windows_deinit(&windows);
        qr_tokenizer_destroy(tokenizer);
    }
}

#endif

Test(tokenizer_memory, texts_beyond_32_bits) {
    qr_tokenizer *tokenizer = fixture_load((tokenizer_sections){0});
    qr_encoding encoding = {0};
    const qr_text huge = {"x", UINT32_MAX}; /* refused by its length, not read */
    cr_expect_eq(qr_tokenizer_encode(tokenizer, huge, NULL, &(qr_encode_options){0}, &encoding),
                 QR_TOO_LONG);
    qr_encoding_deinit(&encoding);
    qr_tokenizer_destroy(tokenizer);
}
