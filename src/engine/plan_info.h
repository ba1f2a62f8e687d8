/* engine/plan_info.h: the plan by which a model runs, and why it is that one.
 *
 *     const qr_plan_info *plan = qr_engine_plan(engine);
 *     char place[QR_PLAN_PLACE_BYTES];
 *     printf("%s on %s: %s\n", qr_precision_name(plan->precision), qr_plan_place(plan, place),
 *            plan->reason);
 */
#ifndef QR_ENGINE_PLAN_INFO_H
#define QR_ENGINE_PLAN_INFO_H

#include "engine/model_info.h"

/** What a device's precisions reach, by the row of a committed table. */
typedef struct qr_rates {
    char name[96];              /* of the row: "Intel Ice Lake server, avx512vnni, 2026-11-25" */
    double gops[QR_PRECISIONS]; /* billions of operations a second, few rows; 0: not measured */
} qr_rates;
#define QR_RATES_TIE        1.03 /* rates closer than this count as equal */

#define QR_PLAN_PLACE_BYTES 64

/** How a model runs, and why so. */
typedef struct qr_plan_info {
    qr_precision precision; /* never AUTO */
    char device[16];        /* "cpu", "cuda" */
    char target[32];        /* what its kernels are made for: "avx512vnni", "sm_90" */
    unsigned number;        /* which of several: 1 is "cuda:1" */
    char passed_over[256];  /* why "auto" took no faster device: "not on cuda: ..."; or "" */
    bool is_absent;         /* ... because the machine has none, which is no fault */
    bool varies;            /* a sequence's bits depend on its batch mates */
    size_t streams; /* batches side by side that keep its device busy; 0: it computes on the threads
                       that call it */
    qr_rates rates; /* by which AUTO orders its candidates */
    size_t fallbacks;    /* matrices kept in bf16 within an int8 plan */
    size_t weight_bytes; /* packed, resident */
    /* AUTO did not get the device's fastest precision: the gate refused it, or there were no texts
     * to try it on. */
    bool fell_back;
    bool from_cache; /* found and packed at an earlier start: no gate ran, nothing was packed */
    double load_ms, pack_ms, gate_ms;
    char reason[256]; /* "int8: passed the gate (mean cosine 0.9991, worst 0.9984)" */
    bool proven;      /* the model came from ONNX: the next four are its; else zeroed */
    qr_proof proof;
    double proof_ms;       /* what it took this start */
    bool proof_from_cache; /* an earlier start proved it, and nothing has changed since */
    char proof_text[192];  /* "gives what the graph gives: largest difference 2.1e-06 ..."; or "" */
} qr_plan_info;

/** Where it runs: "avx512vnni" of the CPU, "cuda sm_90" of another device. Returns `out`. */
const char *qr_plan_place(const qr_plan_info *plan, char out[QR_PLAN_PLACE_BYTES]);

#endif
