/* engine/plan/proof_probes.c: batches of drawn ids, in the sizes that a graph takes. */
#include "engine/plan/proof_probes.h"

#include <stdlib.h>

#define SEED 0x71756572656e74ull

/* What the longest probe may cost, in operations: a pass of BERT-large over its 512 tokens has
 * 3.3e11, MiniLM's 1.3e10, a quarter of a second of one core. So all positions of all these are
 * probed. Not of seconds: each start has the same probes. */
#define LONG_OPERATIONS 4e11

typedef struct maker {
    const qr__recognised *found;
    const qr_model_info *info;
    qr_random random;
    bool has_mask, has_types;
    qr__proof_probes *probes;
    qr_status status;
} maker;

static bool takes(const qr__recognised *found, qr__graph_input_kind kind) {
    for (size_t i = 0; i < found->input_count; i++)
        if (found->inputs[i].kind == kind)
            return true;
    return false;
}

static size_t below(maker *m, size_t limit) {
    return (size_t)(qr_random_next(&m->random) % limit);
}

/* The types of a sequence are mixed, not one behind the other: each token must find its own. */
static bool add_sequence(maker *m, size_t tokens, qr_ragged *batch) {
    int32_t *ids = calloc(tokens, sizeof *ids);
    uint8_t *types = calloc(tokens, sizeof *types);
    bool added = ids != NULL && types != NULL;
    for (size_t t = 0; added && t < tokens; t++) {
        ids[t] = (int32_t)below(m, m->info->vocab);
        types[t] = m->has_types ? (uint8_t)below(m, m->info->types) : 0;
    }
    added = added && qr_ragged_add(batch, ids, types, tokens);
    free(ids);
    free(types);
    return added;
}

/* A batch whose first sequence is the longest and whose others fall evenly towards 0: 33, 22, 11.
 */
static void add(maker *m, size_t longest, size_t sequences) {
    qr__proof_probes *probes = m->probes;
    if (m->status != QR_OK || probes->len == QR__PROOF_BATCHES)
        return;
    qr_ragged *batch = &probes->batches[probes->len];
    if (!qr_ragged_init(batch, longest * sequences, sequences)) {
        m->status = QR_NO_MEMORY;
        return;
    }
    probes->len++;
    for (size_t i = 0; i < sequences; i++) {
        size_t tokens = (longest * (sequences - i) + sequences - 1) / sequences;
        if (!add_sequence(m, m->has_mask ? tokens : longest, batch))
            m->status = QR_NO_MEMORY;
    }
    probes->tokens_max = qr_max(probes->tokens_max, batch->tokens);
    probes->sequences_max = qr_max(probes->sequences_max, sequences);
}

/* The longest sequence within the operations that one may cost; 0: none longer than `than`. */
static size_t find_long(const qr_model_info *info, size_t than) {
    size_t tokens = info->positions;
    while (tokens > than &&
           qr_model_operations(info, (uint32_t[]){0, (uint32_t)tokens}, 1) > LONG_OPERATIONS)
        tokens -= qr_max(tokens / 16, 1);
    return tokens > than ? tokens : 0;
}

/* Any number of tokens; `fixed` sequences (0: any). */
static void add_any_length(maker *m, size_t fixed) {
    static const struct {
        size_t tokens, sequences;
    } sizes[] = {{3, 3}, {7, 1}, {16, 2}, {33, 3}, {64, 2}};
    const size_t most = m->info->positions;
    size_t longest = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && longest < most; i++) {
        longest = qr_min(sizes[i].tokens, most);
        add(m, longest, fixed == 0 ? sizes[i].sequences : fixed);
    }
    m->probes->literal = m->probes->len;
    size_t tokens = find_long(m->info, longest);
    if (tokens > 0)
        add(m, tokens, fixed == 0 ? 2 : fixed); /* two: padding far out must be hidden as well */
}

/* Always so many tokens; shorter sequences are padded to them, where a mask can say so. */
static void add_one_length(maker *m, size_t tokens, size_t fixed) {
    tokens = qr_min(tokens, m->info->positions);
    if (m->has_mask) {
        add(m, 1, fixed == 0 ? 1 : fixed);
        add(m, (tokens + 1) / 2, fixed == 0 ? 2 : fixed);
    }
    add(m, tokens, fixed == 0 ? 1 : fixed);
    if (fixed == 0)
        add(m, tokens, 3);
    m->probes->literal = m->probes->len;
}

qr_status qr__proof_probes_init(const qr__recognised *found, const qr_model_info *info,
                                qr__proof_probes *out, qr_error *error) {
    maker m = {.found = found,
               .info = info,
               .has_mask = takes(found, QR__GRAPH_MASK),
               .has_types = takes(found, QR__GRAPH_TYPES) && info->types > 1,
               .probes = out,
               .status = QR_OK};
    *out = (qr__proof_probes){0};
    atomic_init(&m.random.state, SEED);
    if (found->fixed_tokens > 0)
        add_one_length(&m, found->fixed_tokens, found->fixed_batch);
    else
        add_any_length(&m, found->fixed_batch);
    if (m.status == QR_OK)
        return QR_OK;
    qr__proof_probes_deinit(out);
    return qr_error_set(error, m.status, "no memory for the inputs of a proof");
}

void qr__proof_probes_deinit(qr__proof_probes *probes) {
    while (probes->len > 0)
        qr_ragged_deinit(&probes->batches[--probes->len]);
}
