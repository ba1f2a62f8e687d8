/* server/api/oip/oip_infer.h: an inference in the Open Inference Protocol, from its parts:
 *
 *     oip_infer.c    the route: parameters, wanted outputs, what becomes of both
 *     oip_tensor.c   inputs: tensors into texts and integers
 *     oip_jobs.c     texts and integers into jobs
 *     oip_answer.c   results into outputs, JSON or binary
 *
 * Threads: one call's.
 */
#ifndef QR_SERVER_API_OIP_INFER_H
#define QR_SERVER_API_OIP_INFER_H

#include "server/api/oip/oip_tensor.h"
#include "server/api/spans.h"

/** An output that is wanted. */
typedef struct qr__oip_wish {
    const qr__oip_output *output;
    bool binary;
} qr__oip_wish;

typedef struct qr__oip_request {
    qr__decoded head;
    qr_text id;         /* to be sent back; data is NULL without one */
    bool binary_output; /* for outputs that say nothing of it */

    /* Of its parameters. */
    qr__cut cut;
    bool normalize;
    bool raw_scores;
    size_t dimensions; /* 0: all */
    size_t timeout_us; /* 0: none of its own */
    qr__span_parameters span;

    const qr__oip_signature *signature;
    qr__oip_wish wishes[QR__OIP_OUTPUTS]; /* in the order in which they are answered */
    size_t wishes_len;

    /* Of spans, [inputs_len], in the arena. */
    qr__span_item *passages;
} qr__oip_request;

/** Makes jobs of the inputs; the request's parameters are read and the call has its model.
 * BAD_REQUEST, EMPTY_INPUT, TOO_LONG, TOO_MANY, NO_MEMORY. */
QR_MUST_USE qr_status qr__oip_jobs(qr__call *call, const qr__oip_inputs *inputs);

/** Writes the answer of an exchange whose jobs have run. */
void qr__oip_answer(const qr_api *api, qr_exchange *exchange);

#endif
