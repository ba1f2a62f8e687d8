/* engine/plan/probe_run.h: the probe texts on one candidate after the other, on several threads.
 *
 *     qr__probe_run *run;
 *     status = qr__probe_run_create(&probes, threads, &run, error);
 *     status = qr__probe_run_take(run, packed, error);               // the candidate
 *     status = qr__probe_run_forward(run, sequences, &outputs, error);
 *     qr__probe_run_drop(run);                                       // before `packed` goes
 *     qr__probe_run_destroy(run);
 *
 * The texts run in pieces that a core's caches hold, one thread a piece: all of them as one batch
 * would stream every layer's rows through memory, and a team of threads would wait for its slowest
 * at every step. Where a piece ends depends on the texts alone, so the outputs do not depend on
 * the number of threads, also where a kernel's bits depend on the batch (OpenBLAS).
 */
#ifndef QR_ENGINE_PLAN_PROBE_RUN_H
#define QR_ENGINE_PLAN_PROBE_RUN_H

#include "engine/backend.h"
#include "engine/plan/gate.h"

typedef struct qr__probe_run qr__probe_run;

/** `probes` (copied; its batch is borrowed) on up to `threads` threads. QR_NO_MEMORY. *out: returns
 * owned. */
QR_MUST_USE qr_status qr__probe_run_create(const qr__gate_probes *probes, int threads,
                                           qr__probe_run **out, qr_error *error);

/** Makes workspaces for a packing (borrowed until it is dropped); drops the one before. */
QR_MUST_USE qr_status qr__probe_run_take(qr__probe_run *run, const qr_packed *packed,
                                         qr_error *error);

/** Runs the first `sequences` texts. *out: their outputs one behind the other, as the gate judges
 * them; borrowed until the next call. */
QR_MUST_USE qr_status qr__probe_run_forward(qr__probe_run *run, size_t sequences, const float **out,
                                            qr_error *error);

/** Gives the workspaces back. */
void qr__probe_run_drop(qr__probe_run *run);

/** NULL is allowed. */
void qr__probe_run_destroy(qr__probe_run *run);

#endif
