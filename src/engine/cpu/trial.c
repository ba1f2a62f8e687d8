/* engine/cpu/trial.c: packs candidates for the accuracy gate, runs the probes on them, and hands
 * over the one that was chosen.
 *
 * Each precision is packed once, when it is first asked for; an int8 plan with fallbacks is tried
 * by borrowing matrices from both, and packed for good only when it is chosen. */
#include "engine/cpu/trial.h"

#include "engine/cpu/context.h"
#include "engine/cpu/kernels/gemm.h"

#include <stdio.h>

#define RANKING_BUDGET_MS 400.0 /* of "ready within a second" */

typedef struct bench {
    const qr_bert *bert;
    const qr_trial *trial;
    qr_team *team;
    qr_words *exact, *half;                    /* word tables; `half` once it is needed */
    qr_weights *packed[QR_PRECISION_INT8 + 1]; /* by precision, as they are asked for */
    qr_weights *mixed;                         /* int8 with fallbacks, borrowed from the above */
    qr_context *context;
    double pack_ms;
} bench;

static qr_status pack(bench *b, qr_precision precision, const uint8_t *fallback, qr_weights **out,
                      qr_error *error) {
    uint64_t begin = qr_clock_ns();
    bool may_round = precision != QR_PRECISION_F32;
    qr_words **words = may_round ? &b->half : &b->exact;
    qr_status status = QR_OK;
    if (*words == NULL)
        status = qr_words_pack(b->bert, b->trial->isa, may_round, words, error);
    if (status == QR_OK) {
        qr_weights_plan plan = {
            .precision = precision, .isa = b->trial->isa, .fallback = fallback, .words = *words};
        status = qr_weights_pack(b->bert, &plan, out, error);
    }
    b->pack_ms += (double)(qr_clock_ns() - begin) / (double)QR_NS_PER_MS;
    return status;
}

static qr_status pack_once(bench *b, qr_precision precision, qr_error *error) {
    return b->packed[precision] != NULL ? QR_OK
                                        : pack(b, precision, NULL, &b->packed[precision], error);
}

static bool any_bit(const uint8_t *fallback, size_t layers) {
    for (size_t l = 0; l < layers; l++)
        if (fallback[l] != 0)
            return true;
    return false;
}

static qr_status build(void *user, qr_precision precision, const uint8_t *fallback,
                       qr_error *error) {
    bench *b = user;
    qr_context_destroy(b->context);
    qr_weights_destroy(b->mixed);
    b->context = NULL;
    b->mixed = NULL;
    qr_status status = pack_once(b, precision, error);
    qr_weights *current = b->packed[precision];
    if (status == QR_OK && any_bit(fallback, b->bert->info.layers)) {
        status = pack_once(b, QR_PRECISION_BF16, error);
        if (status == QR_OK)
            status =
                qr_weights_mix(current, b->packed[QR_PRECISION_BF16], fallback, &b->mixed, error);
        current = b->mixed;
    }
    if (status != QR_OK)
        return status;
    size_t sequences = b->trial->probes->sequences;
    return qr__context_create(current, b->team, b->trial->probes->starts[sequences], sequences,
                              &b->context, error);
}

static qr_status run(void *user, size_t sequences, const float **out, qr_error *error) {
    static const qr_output outputs[] = {[QR_HEAD_NONE] = QR_OUTPUT_POOLED,
                                        [QR_HEAD_SPAN] = QR_OUTPUT_SPAN,
                                        [QR_HEAD_LABELS] = QR_OUTPUT_LABELS};
    bench *b = user;
    qr_batch probes = *b->trial->probes;
    probes.sequences = sequences;
    qr_status status = qr_context_forward(b->context, &probes, outputs[b->bert->info.head], out);
    if (status != QR_OK)
        return qr_error_set(error, status, "the accuracy gate's texts do not fit the model");
    return QR_OK;
}

/* Keeps the chosen weights and words, drops the rest. */
static void hand_over(bench *b, qr_precision precision, qr_trial_result *out) {
    out->weights = b->packed[precision];
    b->packed[precision] = NULL;
    qr_words **words = precision == QR_PRECISION_F32 ? &b->exact : &b->half;
    out->words = *words;
    *words = NULL;
}

static void deinit(bench *b) {
    qr_context_destroy(b->context);
    qr_weights_destroy(b->mixed);
    for (size_t p = 0; p <= QR_PRECISION_INT8; p++)
        qr_weights_destroy(b->packed[p]);
    qr_words_destroy(b->exact);
    qr_words_destroy(b->half);
    qr_team_destroy(b->team);
}

static qr_status choose(bench *b, uint8_t *fallback, qr_trial_result *out, qr_error *error) {
    const qr_trial *trial = b->trial;
    qr_plan_search search = {
        .probes = {trial->probes, b->bert->info.head,
                   b->bert->info.head == QR_HEAD_LABELS ? b->bert->info.labels
                                                        : b->bert->info.hidden},
        .layers = b->bert->info.layers,
        .has_int8 = qr_gemm_find(QR_PRECISION_INT8, trial->isa) != NULL,
        .has_bf16 =
            qr_isa_includes(trial->isa, QR_ISA_AVX512BF16), /* else it saves memory, not time */
        .budget_ms = RANKING_BUDGET_MS,
        .user = b,
        .build = build,
        .run = run,
    };
    qr_status status = qr_team_create(trial->threads, &b->team);
    if (status == QR_OK)
        status = qr_team_start_helpers(b->team);
    if (status != QR_OK)
        return qr_error_set(error, status, "the accuracy gate cannot start %d threads",
                            trial->threads);
    qr_plan_choice choice;
    uint64_t begin = qr_clock_ns();
    status = qr_plan_choose(&search, trial->asked, fallback, &choice, error);
    out->gate_ms = (double)(qr_clock_ns() - begin) / (double)QR_NS_PER_MS - b->pack_ms;
    out->precision = choice.precision;
    snprintf(out->reason, sizeof out->reason, "%s", choice.reason);
    return status;
}

qr_status qr_trial_run(const qr_bert *bert, const qr_trial *trial, qr_trial_result *out,
                       qr_error *error) {
    bench b = {.bert = bert, .trial = trial};
    uint8_t fallback[QR_LIMIT_LAYERS] = {0};
    qr_status status = QR_OK;
    *out = (qr_trial_result){.precision = trial->asked};
    if (trial->probes != NULL && trial->asked != QR_PRECISION_F32) {
        status = choose(&b, fallback, out, error);
    } else {
        if (trial->asked == QR_PRECISION_AUTO)
            out->precision = QR_PRECISION_F32;
        snprintf(out->reason, sizeof out->reason, "%s: %s", qr_precision_name(out->precision),
                 trial->asked == QR_PRECISION_AUTO
                     ? "there are no texts to try another precision on"
                     : "as asked");
    }
    if (status == QR_OK && any_bit(fallback, bert->info.layers)) {
        qr_context_destroy(b.context); /* the last to run on the weights that go now */
        b.context = NULL;
        qr_weights_destroy(b.packed[out->precision]);
        b.packed[out->precision] = NULL;
        status = pack(&b, out->precision, fallback, &b.packed[out->precision], error);
    } else if (status == QR_OK) {
        status = pack_once(&b, out->precision, error);
    }
    if (status == QR_OK)
        hand_over(&b, out->precision, out);
    out->pack_ms = b.pack_ms;
    deinit(&b);
    return status;
}
