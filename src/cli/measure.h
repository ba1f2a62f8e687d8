/* cli/measure.h: `querent inspect --measure`: every precision timed on this machine, beside the
 * committed table that `auto` goes by (engine/cpu/rates.h).
 *
 *     qr__measured here = {0};
 *     qr__measure(dir, plan->target, &here, &error);
 *     qr_precision said, found;
 *     if (!qr__measure_agrees(&here, &plan->rates, &said, &found))
 *         ...the table puts `said` first, and here `found` is faster...
 */
#ifndef QR_CLI_MEASURE_H
#define QR_CLI_MEASURE_H

#include "engine/engine.h"

#define QR__MEASURE_TOKENS 9u
#define QR__MEASURE_TIE    1.05 /* times closer than this count as equal: the machine is shared */

/** Milliseconds of a pass of QR__MEASURE_TOKENS tokens (P, if that is less) on one thread, a median
 * over rounds that take precisions in turn; 0: does not run on this target. */
typedef struct qr__measured {
    double ms[QR_PRECISIONS];
} qr__measured;

/** Times the model in `dir` on a CPU's target ("avx2"), about a second a precision. All plans are
 * in memory meanwhile. int8 is taken whole and not calibrated: this asks what is fast, not what
 * keeps the answers. As qr_model_open, qr_engine_create and qr_context_create fail. */
QR_MUST_USE qr_status qr__measure(const char *dir, const char *target, qr__measured *out,
                                  qr_error *error);

/** Whether the table's first is the fastest here, or within QR__MEASURE_TIE of it. *said: the
 * precision that the rates put first of those that run; *found: the fastest here. */
bool qr__measure_agrees(const qr__measured *here, const qr_rates *rates, qr_precision *said,
                        qr_precision *found);

#endif
