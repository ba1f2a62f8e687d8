/* tests: see forward_fixture.h. */
#include "forward_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "engine/cpu/kernels/gemm.h"
#include "engine/cpu/target.h"

const char *const *forward_isas(void) {
    static const char *names[QR_ISA_COUNT + 1];
    size_t count = 0;
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++)
        if (qr__isa_available(isa))
            names[count++] = qr__isa_name(isa);
    names[count] = NULL;
    return names;
}

bool forward_has(const char *isa, qr_precision precision) {
    qr__isa chosen;
    cr_assert_eq(qr__target_choose(isa, &chosen, NULL), QR_OK);
    return qr__gemm_find(precision, chosen) != NULL;
}

qr_status forward_create(const char *dir, const qr_engine_options *options, qr_engine **out,
                         qr_error *error) {
    qr_model *model = NULL;
    qr_status status = qr_model_open(dir, &model, error);
    if (status == QR_OK)
        status = qr_engine_create(model, options, out, error);
    qr_model_close(model);
    return status;
}

qr_engine *forward_load(const char *dir, qr_precision precision, const char *isa) {
    qr_engine *engine = NULL;
    qr_error error = {0};
    char device[64];
    snprintf(device, sizeof device, "cpu:%s", isa == NULL ? "" : isa);
    qr_engine_options options = {.precision = precision, .device = isa == NULL ? NULL : device};
    cr_assert_eq(forward_create(dir, &options, &engine, &error), QR_OK, "%s", error.message);
    return engine;
}

qr_pool *forward_pool(int members) {
    qr_pool *pool = NULL;
    if (members > 1) {
        cr_assert_eq(qr_pool_create(members, &pool), QR_OK);
        cr_assert_eq(qr_pool_start_helpers(pool), QR_OK);
    }
    return pool;
}

qr_context *forward_context(const qr_engine *engine, qr_pool *pool) {
    qr_context *context = NULL;
    qr_error error = {0};
    const qr_context_options options = {.tokens_max = 512, .sequences_max = 64, .pool = pool};
    cr_assert_eq(qr_context_create(engine, &options, &context, &error), QR_OK, "%s", error.message);
    return context;
}

unsigned forward_random(unsigned *state, unsigned below) {
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

void forward_draw(struct forward_batch *out, const qr_model_info *model, const size_t *lengths,
                  unsigned seed) {
    size_t B = 0;
    out->starts[0] = 0;
    for (; lengths[B] > 0; B++) {
        cr_assert_leq(out->starts[B] + lengths[B], 512);
        for (uint32_t t = out->starts[B]; t < out->starts[B] + lengths[B]; t++) {
            out->ids[t] = (int32_t)forward_random(&seed, (unsigned)model->vocab);
            out->types[t] =
                model->types == 0 ? 0 : (uint8_t)forward_random(&seed, (unsigned)model->types);
        }
        out->starts[B + 1] = out->starts[B] + (uint32_t)lengths[B];
    }
    out->batch = (qr_batch){out->ids, out->types, out->starts, B, NULL};
}
