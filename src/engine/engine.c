/* engine/engine.c: from a model directory to a plan that runs: read, choose, pack, drop the
 * originals. */
#include "engine/engine.h"

#include "engine/cpu/context.h"
#include "engine/cpu/trial.h"

#include <stdio.h>
#include <stdlib.h>

struct qr_engine {
    qr_bert *bert; /* info, norms, positions, segments; the matrices are gone once packed */
    qr_weights *weights;
    qr_words *words;
    qr_plan_info plan;
};

static const char *const precision_names[] = {"auto", "f32", "bf16", "int8"};

const char *qr_precision_name(qr_precision precision) {
    return precision_names[precision];
}

bool qr_precision_parse(qr_text name, qr_precision *out) {
    for (qr_precision p = QR_PRECISION_AUTO; p <= QR_PRECISION_INT8; p++) {
        if (qr_text_is(name, precision_names[p])) {
            *out = p;
            return true;
        }
    }
    return false;
}

double qr_model_operations(const qr_model_info *model, const uint32_t *starts, size_t sequences) {
    double C = (double)model->hidden, F = (double)model->feed_forward, T = starts[sequences],
           squares = 0;
    for (size_t b = 0; b < sequences; b++)
        squares += (double)(starts[b + 1] - starts[b]) * (double)(starts[b + 1] - starts[b]);
    return (double)model->layers * ((8 * C * C + 4 * C * F) * T + 4 * C * squares);
}

static double ms_since(uint64_t begin_ns) {
    return (double)(qr_clock_ns() - begin_ns) / (double)QR_NS_PER_MS;
}

static qr_status plan_and_pack(qr_engine *engine, const qr_engine_options *options, qr_isa isa,
                               qr_error *error) {
    qr_trial trial = {.asked = options->precision,
                      .isa = isa,
                      .probes = options->probes,
                      .threads = options->threads};
    if (trial.threads <= 0)
        trial.threads = qr_cores_available();
    qr_trial_result result;
    qr_status status = qr_trial_run(engine->bert, &trial, &result, error);
    if (status != QR_OK)
        return status;
    engine->weights = result.weights;
    engine->words = result.words;
    qr_weights_release_originals(engine->bert);
    if (engine->words->half)
        qr_bert_release(engine->bert, &engine->bert->word);
    qr_plan_info *plan = &engine->plan;
    plan->precision = result.precision;
    plan->pack_ms = result.pack_ms;
    plan->gate_ms = result.gate_ms;
    plan->fallbacks = engine->weights->fallbacks;
    plan->weight_bytes = qr_weights_bytes(engine->weights);
    snprintf(plan->isa, sizeof plan->isa, "%s", qr_isa_name(isa));
    snprintf(plan->reason, sizeof plan->reason, "%s", result.reason);
    return QR_OK;
}

qr_status qr_engine_load(const char *dir, const qr_engine_options *options, qr_engine **out,
                         qr_error *error) {
    uint64_t begin = qr_clock_ns();
    qr_isa isa;
    qr_status status = qr_isa_choose(options->isa, &isa, error);
    if (status != QR_OK)
        return status;
    qr_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for an engine", dir);
    status = qr_bert_load(dir, &engine->bert, error);
    if (status == QR_OK)
        status = plan_and_pack(engine, options, isa, error);
    if (status != QR_OK) {
        qr_engine_destroy(engine);
        return status;
    }
    engine->plan.load_ms = ms_since(begin);
    *out = engine;
    return QR_OK;
}

void qr_engine_destroy(qr_engine *engine) {
    if (engine == NULL)
        return;
    qr_weights_destroy(engine->weights);
    qr_words_destroy(engine->words);
    qr_bert_destroy(engine->bert);
    free(engine);
}

const qr_model_info *qr_engine_model(const qr_engine *engine) {
    return &engine->bert->info;
}
const qr_plan_info *qr_engine_plan(const qr_engine *engine) {
    return &engine->plan;
}

qr_status qr_context_create(const qr_engine *engine, qr_team *team, size_t tokens_max,
                            size_t sequences_max, qr_context **out, qr_error *error) {
    return qr__context_create(engine->weights, team, tokens_max, sequences_max, out, error);
}
