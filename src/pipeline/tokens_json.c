/* pipeline/tokens_json.c: entities as JSON text, and their words. */
#include "pipeline/pipeline.h"

/* The vocabulary's token; where that says nothing, the text's bytes. */
static qr_text token_text(const qr_tokenizer *tokenizer, const qr_encoding *window, qr_text text,
                          size_t t) {
    if (window->ids[t] == qr_tokenizer_get_info(tokenizer)->unk_id)
        return (qr_text){text.data + window->begin[t], window->end[t] - window->begin[t]};
    return qr_tokenizer_token(tokenizer, window->ids[t]);
}

void qr_tokens_word(const qr_tokenizer *tokenizer, const qr_windows *windows, qr_text text,
                    qr_aggregation aggregation, const qr_entity *entity, qr_buf *out) {
    const qr_encoding *window = &windows->items[entity->window];
    if (aggregation == QR_AGGREGATION_NONE) {
        qr_buf_text(out, token_text(tokenizer, window, text, entity->first));
        return;
    }
    for (size_t t = entity->first; t <= entity->last; t++)
        qr_tokenizer_decode_token(tokenizer, token_text(tokenizer, window, text, t),
                                  t == entity->first, out);
}

/* Scores are f32 that Python widens before it prints them. */
static void put_entity(const qr_entity *entity, bool single, qr_text word, qr_buf *out) {
    qr_buf_text(out, qr_text_of(single ? "{\"entity\":" : "{\"entity_group\":"));
    qr_json_text(out, entity->label);
    qr_buf_literal(out, ",\"score\":");
    qr_json_double(out, (double)entity->score);
    if (single) {
        qr_buf_literal(out, ",\"index\":");
        qr_buf_u64(out, entity->first);
    }
    qr_buf_literal(out, ",\"word\":");
    qr_json_text(out, word);
    qr_buf_literal(out, ",\"start\":");
    qr_buf_u64(out, entity->begin);
    qr_buf_literal(out, ",\"end\":");
    qr_buf_u64(out, entity->end);
    qr_buf_byte(out, '}');
}

void qr_tokens_to_json(const qr_tokenizer *tokenizer, const qr_windows *windows, qr_text text,
                       qr_aggregation aggregation, const qr_entity *entities, size_t count,
                       qr_buf *out) {
    qr_buf word;
    qr_buf_init(&word, QR_LIMIT_RESPONSE_BYTES);
    qr_buf_byte(out, '[');
    for (size_t i = 0; i < count && !qr_buf_failed(out); i++) {
        qr_buf_reset(&word);
        qr_tokens_word(tokenizer, windows, text, aggregation, &entities[i], &word);
        out->failed = out->failed || qr_buf_failed(&word);
        qr_buf_append(out, ",", i > 0);
        put_entity(&entities[i], aggregation == QR_AGGREGATION_NONE, qr_buf_contents(&word), out);
    }
    qr_buf_byte(out, ']');
    qr_buf_deinit(&word);
}
