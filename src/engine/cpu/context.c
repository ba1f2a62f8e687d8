/* engine/cpu/context.c: workspaces: their one allocation, and the checks at the door of a forward
 * pass. */
#include "engine/cpu/context.h"

#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

/* A member more for each so many operations, 20 us of one core or more: for less, calling for help
 * costs what it saves. */
#define QR_TEAM_OPERATIONS 4e6

/* Cuts a block: first to measure (base NULL), then for good. */
typedef struct cutter {
    char *base;
    size_t used;
} cutter;

static void *cut(cutter *c, size_t count, size_t size) {
    size_t at = c->used;
    c->used += qr_round_up(count * size, 64);
    return c->base == NULL ? NULL : c->base + at;
}

static size_t bytes_of(const qr_matrix *matrix, size_t rows) {
    return matrix == NULL ? 0 : qr_matrix_operand_bytes(matrix, rows);
}

/* The largest of each of the context's operands. */
typedef struct operands {
    size_t all, q, half[QR_HALVES];
} operands;

static operands measure(const qr_weights *w, size_t rows) {
    operands most = {0};
    const qr_matrix *heads[] = {w->span, w->pooler, w->classifier};
    for (size_t i = 0; i < 3; i++)
        most.all = qr_max(most.all, bytes_of(heads[i], rows));
    for (size_t i = 0; i < w->bert->info.layers * QR_HALVES; i++) {
        size_t h = i % QR_HALVES;
        const qr_weights_half *half = &w->layers[i / QR_HALVES].half[h];
        const qr_matrix *all[] = {half->qkv, half->kv, half->up};
        for (size_t m = 0; m < 3; m++)
            most.all = qr_max(most.all, bytes_of(all[m], rows));
        most.q = qr_max(most.q, bytes_of(half->q, rows));
        most.half[h] = qr_max(most.half[h], bytes_of(half->output, rows));
        most.half[h] = qr_max(most.half[h], bytes_of(half->down, rows));
    }
    return most;
}

static size_t cut_all(qr_context *c) {
    const qr_model_info *info = &c->weights->bert->info;
    cutter k = {.base = c->block};
    size_t T = c->tokens_max, B = c->sequences_max, C = info->hidden;
    operands bytes = measure(c->weights, T);
    c->hidden = cut(&k, T * C, sizeof(float));
    c->middle = cut(&k, T * C, sizeof(float));
    c->first = cut(&k, B * C, sizeof(float));
    c->wide = cut(&k, T * qr_max(3 * C, info->feed_forward), sizeof(float));
    c->mixed = cut(&k, T * C, sizeof(float));
    c->operand = cut(&k, 1, bytes.all);
    c->operand_q = cut(&k, 1, bytes.q);
    for (size_t h = 0; h < c->weights->halves; h++) {
        c->operand_half[h] = cut(&k, 1, bytes.half[h]);
        c->partial[h] = cut(&k, T * C, sizeof(float));
    }
    size_t result = info->head == QR_HEAD_SPAN ? 2 * T : 0;
    result = qr_max(result, B * qr_max(C, info->labels));
    c->result = cut(&k, result, sizeof(float));
    c->scratch = cut(&k, (size_t)c->members, sizeof *c->scratch);
    size_t scratch =
        qr_attention_scratch_bytes(qr_min(T, info->positions), info->hidden / info->heads);
    for (int m = 0; m < c->members; m++) {
        void *own = cut(&k, 1, scratch);
        if (c->block != NULL)
            c->scratch[m] = own;
    }
    return k.used;
}

qr_status qr__context_create(const qr_weights *weights, qr_team *team, size_t tokens_max,
                             size_t sequences_max, qr_context **out, qr_error *error) {
    size_t most = QR_LIMIT_TEXT_TOKENS;
    if (tokens_max == 0 || tokens_max > most || sequences_max == 0 || sequences_max > most)
        return qr_error_set(error, QR_BAD_OPTION,
                            "a context for %zu tokens and %zu sequences: 1 to %zu are possible",
                            tokens_max, sequences_max, most);
    qr_context *c = aligned_alloc(64, qr_round_up(sizeof *c, 64));
    if (c == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a context");
    memset(c, 0, sizeof *c);
    c->weights = weights;
    c->team = team;
    c->members = qr__team_members(team);
    c->tokens_max = tokens_max;
    c->sequences_max = qr_min(sequences_max, tokens_max);
    c->block_bytes = cut_all(c);
    /* Mapped, not allocated: pages that no batch reaches cost nothing. */
    void *block =
        mmap(NULL, c->block_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) {
        free(c);
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a context of %zu tokens",
                            tokens_max);
    }
    c->block = block;
    cut_all(c);
    *out = c;
    return QR_OK;
}

void qr_context_destroy(qr_context *context) {
    if (context == NULL)
        return;
    munmap(context->block, context->block_bytes);
    free(context);
}

static qr_status check_sequence(const qr_model_info *info, const qr_batch *batch, size_t b) {
    size_t begin = batch->starts[b], end = batch->starts[b + 1];
    if (end <= begin)
        return QR_BAD_REQUEST;
    if (end - begin > info->positions)
        return QR_TOO_LONG;
    for (size_t t = begin; t < end; t++) {
        if (batch->ids[t] < 0 || (size_t)batch->ids[t] >= info->vocab)
            return QR_BAD_REQUEST;
        if (batch->types != NULL && info->types > 0 && batch->types[t] >= info->types)
            return QR_BAD_REQUEST;
    }
    return QR_OK;
}

static qr_status check_batch(const qr_context *c, const qr_batch *batch, qr_output wanted) {
    const qr_model_info *info = &c->weights->bert->info;
    if ((wanted == QR_OUTPUT_SPAN && info->head != QR_HEAD_SPAN) ||
        (wanted == QR_OUTPUT_LABELS && info->head != QR_HEAD_LABELS))
        return QR_BAD_REQUEST;
    if (batch->sequences == 0 || batch->starts[0] != 0)
        return QR_BAD_REQUEST;
    if (batch->sequences > c->sequences_max)
        return QR_TOO_LONG;
    for (size_t b = 0; b < batch->sequences; b++) {
        if (batch->starts[b + 1] > c->tokens_max)
            return QR_TOO_LONG;
        qr_status status = check_sequence(info, batch, b);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

qr_status qr_context_forward(qr_context *context, const qr_batch *batch, qr_output wanted,
                             const float **out) {
    qr_status status = check_batch(context, batch, wanted);
    if (status != QR_OK)
        return status;
    const qr_model_info *info = &context->weights->bert->info;
    context->batch = batch;
    context->tokens = batch->starts[batch->sequences];
    context->first_only = context->weights->layers[info->layers - 1].half[0].q != NULL &&
                          (wanted == QR_OUTPUT_LABELS ||
                           (wanted == QR_OUTPUT_POOLED && info->pooling == QR_POOLING_CLS));
    double operations = qr_model_operations(info, batch->starts, batch->sequences);
    context->wanted = (int)fmin(context->members, 1 + operations / QR_TEAM_OPERATIONS);
    const float *hidden = qr__forward(context);
    *out = qr__head(context, hidden, wanted);
    context->batch = NULL;
    return QR_OK;
}
