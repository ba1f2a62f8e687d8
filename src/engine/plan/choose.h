/* engine/plan/choose.h: the search for the fastest plan that passes the gate.
 *
 *     qr__search search = {.probes = {&batch, info->head, info->hidden}, .layers = L,
 *                          .order = device->order, .rates = device->rates.name,
 *                          .has_fallback = true, .trials_max = 8,
 *                          .user = me, .build = build, .run = run};
 *     uint8_t fallback[QR_LIMIT_LAYERS] = {0};
 *     qr__choice choice;
 *     status = qr__choose(&search, QR_PRECISION_AUTO, fallback, &choice, error);
 *     // the last build() is the chosen plan
 *
 * Knows neither devices nor clocks: it asks for candidates (build), looks at their outputs (run)
 * and decides.
 */
#ifndef QR_ENGINE_PLAN_CHOOSE_H
#define QR_ENGINE_PLAN_CHOOSE_H

#include "engine/plan/gate.h"

/* A plan's `fallback` is [L]: each set bit keeps one of a layer's four packed matrices in bf16
 * within int8. Bits as in engine/backend.h: 0 QKV, 1 attention output, 2 up (intermediate), 3
 * down (output). */

typedef struct qr__search {
    qr__gate_probes probes;
    size_t layers;
    const qr_precision *order; /* candidates of AUTO, the fastest first; ends with f32 */
    const char *rates;         /* by which they are ordered, for the story */
    bool has_fallback;         /* an int8 plan may keep matrices in bf16 */
    size_t trials_max; /* matrices that may be tried singly, to rank them; others stay unranked */
    void *user;
    /** Makes a plan the current one. `fallback` [L] is all zero but for int8. Called up to 4L +
     * 10 times, mostly with one bit changed: keep what is packed. */
    qr_status (*build)(void *user, qr_precision precision, const uint8_t *fallback,
                       qr_error *error);
    /** Runs the first `sequences` probes on the current plan: all of them, or fewer while single
     * matrices are ranked. *out is borrowed until the next call. */
    qr_status (*run)(void *user, size_t sequences, const float **out, qr_error *error);
} qr__search;

typedef struct qr__choice {
    qr_precision precision;
    size_t fallbacks;         /* bits set in `fallback` */
    bool passed;              /* false: asked for by name, fails, and is taken all the same */
    qr__gate_verdict verdict; /* of the choice; of f32: equal */
    char reason[256];         /* for the log, /info and inspect */
} qr__choice;

/** The probes that rank single matrices: a quarter of them, at least 4. */
size_t qr__choose_ranking_probes(size_t sequences);

/** Finds the fastest plan that passes. AUTO: the candidates in their order up to f32, int8 also
 * with the worst matrices in bf16 (at most half of them). INT8: as it is, or with such matrices;
 * F16 and BF16: as they are; none of them is replaced when it fails, `passed` says so. F32: no
 * gate. `fallback` [L] gets the chosen plan's bits. On QR_OK the last build() was the choice. */
QR_MUST_USE qr_status qr__choose(const qr__search *search, qr_precision asked, uint8_t *fallback,
                                 qr__choice *out, qr_error *error);

#endif
