/* pipeline/span.h: extractive question answering, a part of pipeline.h: windows in, answers out.
 *
 *     qr_span_encode(pipeline, question, context, &options, &windows);
 *     (the engine runs each window: logits[w])
 *     qr_span_decode(&windows, logits, context, &options, spans, &count);
 *     qr_span_to_json(spans, count, context, false, &out);
 *
 * Threads: pure, but for the pipeline, which is const.
 */
#ifndef QR_PIPELINE_SPAN_H
#define QR_PIPELINE_SPAN_H

#include "tokenizer/tokenizer.h"

struct qr_pipeline;

/** Extractive question answering as transformers 4.57's question-answering pipeline does it; its
 * names and, in QR_SPAN_OPTIONS_DEFAULT, its defaults. */
typedef struct qr_span_options {
    size_t top_k;           /* most answers */
    size_t max_answer_len;  /* tokens */
    size_t max_seq_len;     /* longest window in tokens, <= max_tokens; 0: min(max_tokens, 384) */
    size_t doc_stride;      /* tokens shared, <= max_seq_len; 0: min(max_seq_len / 2, 128) */
    bool handle_impossible; /* let "no answer" compete, as an empty one */
    bool align_to_words;    /* answers begin and end with words */
} qr_span_options;

#define QR_SPAN_DEFAULT_SEQ_LEN 384u
#define QR_SPAN_DEFAULT_STRIDE  128u

#define QR_SPAN_OPTIONS_DEFAULT                                                                    \
    ((qr_span_options){.top_k = 1, .max_answer_len = 15, .align_to_words = true})

/** An answer. */
typedef struct qr_span {
    double score;                /* a probability; a sum of those where a text stands repeatedly */
    size_t begin_byte, end_byte; /* within the context, end exclusive */
    size_t begin, end;           /* in code points */
} qr_span;

/** Encodes question and context into windows. QR_EMPTY_INPUT; QR_TOO_LONG: the question leaves no
 * room, or too many windows; QR_BAD_REQUEST: an option out of its range. */
QR_MUST_USE qr_status qr_span_encode(const struct qr_pipeline *pipeline, qr_text question,
                                     qr_text context, const qr_span_options *options,
                                     qr_windows *windows);

/** From the logits of every window ([S][2] each) to at most top_k answers, best first. `spans` has
 * room for top_k; *count may be 0. `windows`, `context` and `options` are those of the encode.
 * Memory is a scratch of the call. QR_NO_MEMORY; QR_INTERNAL: a logit is not finite, or the windows
 * are of another context; QR_BAD_REQUEST, QR_TOO_LONG: options that qr_span_encode refuses. */
QR_MUST_USE qr_status qr_span_decode(const qr_windows *windows, const float *const *logits,
                                     qr_text context, const qr_span_options *options,
                                     qr_span *spans, size_t *count);

/** How much of the answers' probability a window has, when several windows (of one passage or of
 * many) are taken as one text: the sums of the exponentials of its start and its end logits,
 * as logarithms. Clark and Gardner 2018, "Simple and Effective Multi-Paragraph Reading
 * Comprehension", call it shared normalization. QR_INTERNAL: a logit is not finite. */
QR_MUST_USE qr_status qr_span_mass(const qr_encoding *window, const float *logits, double mass[2]);

/** As qr_span_decode, with each window's scores multiplied by its weight: exp(mass - the logarithm
 * of all windows' sum) for starts and ends, multiplied. What the empty answer weighs then is for
 * the caller to say: options->handle_impossible must be false. */
QR_MUST_USE qr_status qr_span_decode_weighted(const qr_windows *windows, const float *const *logits,
                                              const double *weights, qr_text context,
                                              const qr_span_options *options, qr_span *spans,
                                              size_t *count);

/** Appends the members of one answer: "score":0.9,"start":3,... and, with `bytes`, its place in
 * bytes. */
void qr_span_to_members(const qr_span *span, qr_text context, bool bytes, qr_buf *out);

/** Appends the answers as the question-answering pipeline shows them: an object when there is
 * exactly one, else a list; with `bytes` each also has `start_byte` and `end_byte`. */
void qr_span_to_json(const qr_span *spans, size_t count, qr_text context, bool bytes, qr_buf *out);

#endif
