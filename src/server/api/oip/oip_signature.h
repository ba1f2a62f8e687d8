/* server/api/oip/oip_signature.h: which tensors a model takes and gives in the Open Inference
 * Protocol, by its kind.
 *
 *     const qr__oip_signature *signature = qr__oip_signature_of(qr_pipeline_kind(pipeline));
 *     if (signature == NULL)                           // a kind that has no tensors here
 *         return QR_WRONG_KIND;
 *
 * Metadata, configuration and inference are all made from these tables. Threads: const.
 */
#ifndef QR_SERVER_API_OIP_SIGNATURE_H
#define QR_SERVER_API_OIP_SIGNATURE_H

#include "server/api/call.h"

#define QR__OIP_VERSION "1" /* of every model */
#define QR__OIP_RANK    2u  /* no tensor here has more dimensions */
#define QR__OIP_OUTPUTS 4u  /* most outputs of a kind */

/* What the tensors are called in errors' places too. */
#define QR__OIP_IDS_NAME   "input_ids"
#define QR__OIP_MASK_NAME  "attention_mask"
#define QR__OIP_TYPES_NAME "token_type_ids"

/** What an input is for. Of a pair, the first and the second text; ids and what belongs to them
 * instead of texts. */
typedef enum qr__oip_role {
    QR__OIP_FIRST,
    QR__OIP_SECOND,
    QR__OIP_IDS,
    QR__OIP_MASK,
    QR__OIP_TYPES,
    QR__OIP_ROLES
} qr__oip_role;

/** An input: texts are BYTES [-1] or [-1,1], all else is INT64 or INT32 [-1,-1]. */
typedef struct qr__oip_input {
    const char *name;
    const char *alias; /* another name for it; NULL: none */
    qr__oip_role role;
    bool optional;
} qr__oip_input;

/** What an output holds, an element or a row an input. */
typedef enum qr__oip_content {
    QR__OIP_EMBEDDING,    /* FP32 [-1,D] */
    QR__OIP_ANSWER,       /* BYTES [-1], or [-1,k] with top_k, as all of spans */
    QR__OIP_SPAN_SCORE,   /* FP32 */
    QR__OIP_SPAN_START,   /* INT32, in code points */
    QR__OIP_SPAN_END,     /* INT32, exclusive */
    QR__OIP_LABEL_SCORES, /* FP32 [-1,K] */
    QR__OIP_LABEL,        /* BYTES [-1], the best one's name */
    QR__OIP_FIT           /* FP32 [-1], of a pair */
} qr__oip_content;

typedef struct qr__oip_output {
    const char *name;
    qr__oip_content content;
} qr__oip_output;

typedef struct qr__oip_signature {
    const qr__oip_input *inputs;
    size_t inputs_len;
    const qr__oip_output *outputs;
    size_t outputs_len;
    bool pairs;          /* a second text is required, and one first text may stand for all */
    const char *known;   /* for errors: the names that an input may have */
    const char *needs;   /* which inputs are needed together */
    const char *answers; /* the names that an output may have */
} qr__oip_signature;

/** NULL: models of this kind have no tensors here. */
const qr__oip_signature *qr__oip_signature_of(qr_kind kind);

/** "FP32", "INT32" or "BYTES". */
const char *qr__oip_datatype(qr__oip_content content);

/** How many numbers a row of this output has by itself; 0: one, and the shape has no second
 * dimension. */
size_t qr__oip_width(const qr_pipeline *model, qr__oip_content content);

#endif
