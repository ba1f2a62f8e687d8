/* tokenizer/loaders.h: the readers of a model's tokenizer files.
 *
 * Each fills a zeroed qr_tokenizer: vocabulary, unknown token, options, templates, decoder; then
 * hands the added tokens to qr__load_added. A fault is QR_BAD_MODEL with "file: place: reason
 * (hint)".
 */
#ifndef QR_TOKENIZER_LOADERS_H
#define QR_TOKENIZER_LOADERS_H

#include "tokenizer/parts.h"

enum {
    QR__SPECIAL_UNK,
    QR__SPECIAL_SEP,
    QR__SPECIAL_PAD,
    QR__SPECIAL_CLS,
    QR__SPECIAL_MASK,
    QR__SPECIAL_COUNT
};

/* tokenizer_config.json over special_tokens_map.json over BERT's defaults. */
typedef struct qr__tokenizer_config {
    qr_arena arena; /* holds the texts */
    bool lowercase;
    bool strip_accents; /* resolved */
    bool handle_chinese_chars;
    size_t model_max_length; /* 0: none that means anything */
    qr_text tokenizer_class; /* empty: not said */
    qr_text special[QR__SPECIAL_COUNT];
    qr__added_token *added; /* of added_tokens_decoder, by id */
    size_t *added_ids;
    size_t added_len;
    char path[QR_PATH_BYTES];
} qr__tokenizer_config;

QR_MUST_USE qr_status qr__load_tokenizer_config(qr__tokenizer_config *config, const char *dir,
                                                qr_error *error);
void qr__tokenizer_config_deinit(qr__tokenizer_config *config);

QR_MUST_USE qr_status qr__load_tokenizer_json(qr_tokenizer *tokenizer, const char *dir,
                                              qr_error *error);
QR_MUST_USE qr_status qr__load_vocab_txt(qr_tokenizer *tokenizer, const char *dir,
                                         const qr__tokenizer_config *config, qr_error *error);

/** Gives ids to added tokens as the package does and puts them into the two sets; `expected_ids`
 * are the file's. */
QR_MUST_USE qr_status qr__load_added(qr_tokenizer *tokenizer, const char *path,
                                     const qr__added_token *tokens, const size_t *expected_ids,
                                     size_t count, qr_error *error);

/** Sets both templates to BERT's: [CLS] A [SEP] (B [SEP]). QR__NO_ID: without specials. */
void qr__template_bert(qr_tokenizer *tokenizer, int32_t cls, int32_t sep);

/* Reading JSON with its place. jansson's type is only named here; its header stays in the readers.
 */
struct json_t;

typedef struct qr__json {
    const char *path; /* of the file, for faults */
    qr_error *error;
} qr__json;

/** Parses `text` as if bytes [from, to) were not there; faults give places of the whole. `reals`:
 * numbers are all read as reals, for files with integers beyond 64 bits. */
QR_MUST_USE qr_status qr__json_parse(const qr__json *reader, qr_text text, size_t from, size_t to,
                                     bool reals, struct json_t **out);

/** Reads and parses a whole file. */
QR_MUST_USE qr_status qr__json_read(const qr__json *reader, bool reals, struct json_t **out);

/** Line and column, from 1, of a byte. */
void qr__text_line(qr_text text, size_t at, size_t *line, size_t *column);

/** Writes the fault "path: where: reason (hint)"; returns QR_BAD_MODEL. */
qr_status qr__json_fault(const qr__json *reader, const char *where, const char *reason,
                         const char *hint);

/* Members of an object at place `where`; a missing or wrong one is a fault. */
QR_MUST_USE qr_status qr__json_get_bool(const qr__json *reader, const struct json_t *object,
                                        const char *where, const char *key, bool *out);
QR_MUST_USE qr_status qr__json_get_size(const qr__json *reader, const struct json_t *object,
                                        const char *where, const char *key, size_t max,
                                        size_t *out);
QR_MUST_USE qr_status qr__json_get_text(const qr__json *reader, const struct json_t *object,
                                        const char *where, const char *key, qr_text *out);

/** An added token's text and flags. */
QR_MUST_USE qr_status qr__json_added_token(const qr__json *reader, const struct json_t *object,
                                           const char *where, qr__added_token *out);

/** Where the object model.vocab of a tokenizer.json lies, braces included; false when there is none
 * to be seen. */
bool qr__vocab_json_find(qr_text text, size_t *from, size_t *to);

/** Fills an initialised vocabulary from the object that begins at `from`. */
QR_MUST_USE qr_status qr__vocab_json_read(const qr__json *reader, qr_text text, size_t from,
                                          qr__vocab *vocab);

#endif
