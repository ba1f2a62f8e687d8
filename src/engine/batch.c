/* engine/batch.c: sequences copied end to end. */
#include "engine/batch.h"

#include <stdlib.h>

bool qr_ragged_init(qr_ragged *ragged, size_t tokens_max, size_t sequences_max) {
    *ragged = (qr_ragged){.tokens_max = tokens_max, .sequences_max = sequences_max};
    ragged->ids = calloc(tokens_max, sizeof *ragged->ids);
    ragged->types = calloc(tokens_max, sizeof *ragged->types);
    ragged->starts = calloc(sequences_max + 1, sizeof *ragged->starts);
    ragged->skip = calloc(sequences_max + 1, sizeof *ragged->skip);
    if (ragged->skip == NULL || ragged->ids == NULL || ragged->types == NULL ||
        ragged->starts == NULL) {
        qr_ragged_deinit(ragged);
        return false;
    }
    ragged->batch = (qr_batch){ragged->ids, ragged->types, ragged->starts, 0, ragged->skip};
    return true;
}

void qr_ragged_deinit(qr_ragged *ragged) {
    free(ragged->ids);
    free(ragged->types);
    free(ragged->starts);
    free(ragged->skip);
    *ragged = (qr_ragged){0};
}

void qr_ragged_clear(qr_ragged *ragged) {
    ragged->tokens = 0;
    ragged->batch.sequences = 0;
}

bool qr_ragged_add(qr_ragged *ragged, const int32_t *ids, const uint8_t *types, size_t tokens) {
    return qr_ragged_add_skipping(ragged, ids, types, tokens, 0);
}

bool qr_ragged_add_skipping(qr_ragged *ragged, const int32_t *ids, const uint8_t *types,
                            size_t tokens, size_t skip) {
    if (ragged->batch.sequences == ragged->sequences_max ||
        tokens > ragged->tokens_max - ragged->tokens)
        return false;
    memcpy(ragged->ids + ragged->tokens, ids, tokens * sizeof *ids);
    if (types != NULL)
        memcpy(ragged->types + ragged->tokens, types, tokens);
    else
        memset(ragged->types + ragged->tokens, 0, tokens);
    ragged->tokens += tokens;
    ragged->skip[ragged->batch.sequences] = (uint32_t)skip;
    ragged->starts[++ragged->batch.sequences] = (uint32_t)ragged->tokens;
    return true;
}
