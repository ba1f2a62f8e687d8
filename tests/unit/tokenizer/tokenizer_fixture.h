/* tests/unit/tokenizer/tokenizer_fixture.h: small tokenizer files in a directory of their own. */
#ifndef QR_TOKENIZER_FIXTURE_H
#define QR_TOKENIZER_FIXTURE_H

#include "tokenizer/tokenizer.h"

/* Literal text that may hold NUL bytes. */
#define TEXT(literal) ((qr_text){(literal), sizeof(literal) - 1})

/* Sections of a tokenizer.json, as JSON; NULL: the uncased BERT one. */
typedef struct tokenizer_sections {
    const char *added, *normalizer, *pre_tokenizer, *post_processor, *decoder, *model;
} tokenizer_sections;

#define TEST_VOCAB                                                                                 \
    "{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,\"the\":5,\"cat\":6,\"##s\":7," \
    "\"sat\":8,"                                                                                   \
    "\"un\":9,\"##aff\":10,\"##able\":11,\"on\":12,\"mat\":13,\".\":14,\"a\":15,\"b\":16,\"##b\":" \
    "17,\"i\":18,"                                                                                 \
    "\"##\\u302f\":19,\"##\\u0307\":20,\"\\u4e2d\":21,\"'\":22,\"don\":23,\"t\":24,\"?\":25}"
#define TEST_MODEL(vocab)                                                                          \
    "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","        \
    "\"max_input_chars_per_word\":100,\"vocab\":" vocab "}"
#define TEST_NORMALIZER(clean, chinese, strip, lower)                                              \
    "{\"type\":\"BertNormalizer\",\"clean_text\":" clean ",\"handle_chinese_chars\":" chinese      \
    ",\"strip_accents\":" strip ",\"lowercase\":" lower "}"
#define TEST_ADDED(id, content, flags) "{\"id\":" id ",\"content\":\"" content "\"," flags "}"
#define PLAIN_FLAGS                                                                                \
    "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":"    \
    "false"

/** A new directory; NUL-terminated, to be removed with fixture_remove (which frees it). */
char *fixture_dir(void);
void fixture_remove(char *dir);

/** Writes dir/name. */
void fixture_write(const char *dir, const char *name, qr_text content);

/** Writes dir/tokenizer.json. */
void fixture_write_json(const char *dir, tokenizer_sections sections);

/** Loads from a new tokenizer.json; fails the test when it does not load. */
qr_tokenizer *fixture_load(tokenizer_sections sections);

/** Asserts that `dir` is refused with QR_BAD_MODEL and a message that holds `part`. */
void fixture_refused(const char *dir, const char *part);

/** The ids as text, "2 5 6 3". Static memory. */
const char *fixture_ids(const qr_encoding *encoding);

/** The offsets as text, "0-3 4-7". Static memory. */
const char *fixture_offsets(const qr_encoding *encoding);

#endif
