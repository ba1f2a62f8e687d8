/* tokenizer/loaders.h: the readers of a model's tokenizer files.
 *
 *     qr_tokenizer_load (load.c)
 *         qr__load_tokenizer_config        special tokens, options that only vocab.txt needs
 *         qr__load_tokenizer_json, or qr__load_vocab_txt
 *             vocabulary, unknown token, normalizer, templates, decoder
 *             qr__load_added               the added tokens, once there is a vocabulary
 *
 * Each fills its part of a zeroed qr_tokenizer. A fault is QR_BAD_MODEL with "file: place: reason
 * (hint)"; all may also return QR_IO, QR_TOO_LARGE (a file above its limit) and QR_NO_MEMORY.
 */
#ifndef QR_TOKENIZER_LOADERS_H
#define QR_TOKENIZER_LOADERS_H

#include "tokenizer/json_members.h"
#include "tokenizer/tokenizer_internal.h"

/** BERT's special tokens, in the order of the ids that BERT gives them. */
enum {
    QR__SPECIAL_UNK,
    QR__SPECIAL_SEP,
    QR__SPECIAL_PAD,
    QR__SPECIAL_CLS,
    QR__SPECIAL_MASK,
    QR__SPECIAL_COUNT
};

/** tokenizer_config.json over special_tokens_map.json over BERT's defaults. */
typedef struct qr__tokenizer_config {
    qr_arena arena; /* holds the texts */
    bool lowercase;
    bool strip_accents; /* resolved */
    bool handle_chinese_chars;
    bool says_lowercase, says_strip_accents, says_chinese_chars; /* the file has the member */
    size_t model_max_length;                                     /* 0: none that means anything */
    qr_text tokenizer_class;                                     /* empty: not said */
    qr_text special[QR__SPECIAL_COUNT];
    qr__added_token *added; /* of added_tokens_decoder, by id */
    size_t *added_ids;
    size_t added_len;
    char path[QR_PATH_BYTES]; /* of the file read last, for faults found in it later */
} qr__tokenizer_config;

/** Reads the two files where they are there. Deinit `config` also after a failure. */
QR_MUST_USE qr_status qr__load_tokenizer_config(qr__tokenizer_config *config, const char *dir,
                                                qr_error *error);

/** Warns of what tokenizer_config.json says of normalizing otherwise than `normalizer`, which a
 * tokenizer.json has and which is taken. */
void qr__tokenizer_config_compare(const qr__tokenizer_config *config, const char *dir,
                                  const qr__normalizer_options *normalizer);

/** Frees the texts; of a zeroed config too. */
void qr__tokenizer_config_deinit(qr__tokenizer_config *config);

/** Reads `dir`/tokenizer.json, which has the say in everything. */
QR_MUST_USE qr_status qr__load_tokenizer_json(qr_tokenizer *tokenizer, const char *dir,
                                              qr_error *error);

/** Reads `dir`/vocab.txt, one token a line; the rest as `config` and BERT's defaults say. */
QR_MUST_USE qr_status qr__load_vocab_txt(qr_tokenizer *tokenizer, const char *dir,
                                         const qr__tokenizer_config *config, qr_error *error);

/** Gives ids to added tokens as the package does and puts them into the two sets of patterns.
 * `path` is their file, for faults; `expected_ids` are the file's (a differing one is logged), or
 * NULL. */
QR_MUST_USE qr_status qr__load_added(qr_tokenizer *tokenizer, const char *path,
                                     const qr__added_token *tokens, const size_t *expected_ids,
                                     size_t count, qr_error *error);

/** Where the object model.vocab of a tokenizer.json lies, braces included; false when there is none
 * to be seen. */
bool qr__vocab_json_find(qr_text text, size_t *from, size_t *to);

/** Fills an initialised vocabulary from the object that begins at `from`. A fault names line and
 * column. */
QR_MUST_USE qr_status qr__vocab_json_read(const qr__json_reader *reader, qr_text text, size_t from,
                                          qr__vocab *vocab);

#endif
