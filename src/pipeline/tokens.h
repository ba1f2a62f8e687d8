/* pipeline/tokens.h: labels of tokens (named entities and the like); a part of pipeline.h.
 *
 *     qr_tokens_options options = {.aggregation = QR_AGGREGATION_SIMPLE};
 *     qr_tokens_encode(pipeline, text, &options, &windows);
 *     ... each window through the engine: logits [S][K] ...
 *     entities = malloc(qr_tokens_most(&windows) * sizeof *entities);
 *     qr_tokens_decode(model, &windows, logits, text, &options, entities, &count);
 *     qr_tokens_to_json(tokenizer, &windows, text, options.aggregation, entities, count, &out);
 *
 * As transformers 4.57's token-classification pipeline does it (docs/PIPELINE.md). Threads: pure.
 */
#ifndef QR_PIPELINE_TOKENS_H
#define QR_PIPELINE_TOKENS_H

#include "engine/engine.h"
#include "tokenizer/tokenizer.h"

struct qr_pipeline;

typedef enum qr_aggregation {
    QR_AGGREGATION_NONE,  /* every token by itself, with its whole label: "B-PER" */
    QR_AGGREGATION_SIMPLE /* neighbours of one group are one entity: "PER" */
} qr_aggregation;

typedef struct qr_tokens_options {
    qr_aggregation aggregation;
    const qr_text *ignored; /* [ignored_len] labels, or groups, that are left out; NULL: "O" */
    size_t ignored_len;
    bool windows;  /* a long text goes through the model in windows; else it is cut */
    size_t stride; /* tokens that windows share, below max_tokens less the specials */
} qr_tokens_options;

/** A token, or a group of neighbours. */
typedef struct qr_entity {
    qr_text label; /* borrowed from the model's info */
    float score;
    size_t window, first, last; /* tokens of windows->items[window]; without aggregation the same */
    size_t begin_byte, end_byte; /* in the text, end exclusive */
    size_t begin, end;           /* in code points */
} qr_entity;

/** Encodes a text, which may be empty, as one window or several. QR_BAD_REQUEST: a stride out of
 * its range; QR_TOO_LONG: too many windows or tokens; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_tokens_encode(const struct qr_pipeline *pipeline, qr_text text,
                                       const qr_tokens_options *options, qr_windows *windows);

/** The entities that these windows can yield at most. */
size_t qr_tokens_most(const qr_windows *windows);

/** From the logits of every window ([S][K] each) to entities in the text's order; `entities` has
 * room for qr_tokens_most, *count may be 0. `windows`, `text` and `options` are the encode's.
 * QR_NO_MEMORY; QR_INTERNAL: a logit is not finite, or the windows are of another text. */
QR_MUST_USE qr_status qr_tokens_decode(const qr_model_info *model, const qr_windows *windows,
                                       const float *const *logits, qr_text text,
                                       const qr_tokens_options *options, qr_entity *entities,
                                       size_t *count);

/** Appends an entity's word: its token as it stands in the vocabulary, or the tokens of a group as
 * the decoder joins them. Unknown tokens are the text's own bytes. */
void qr_tokens_word(const qr_tokenizer *tokenizer, const qr_windows *windows, qr_text text,
                    qr_aggregation aggregation, const qr_entity *entity, qr_buf *out);

/** Appends the list of entities as the token-classification pipeline shows them. */
void qr_tokens_to_json(const qr_tokenizer *tokenizer, const qr_windows *windows, qr_text text,
                       qr_aggregation aggregation, const qr_entity *entities, size_t count,
                       qr_buf *out);

#endif
