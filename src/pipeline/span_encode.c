/* pipeline/span_encode.c: a question and a context become windows. */
#include "pipeline/pipeline.h"
#include "pipeline/span_rules.h"

qr_status qr_span_encode(const qr_pipeline *pipeline, qr_text question, qr_text context,
                         const qr_span_options *options, qr_windows *windows) {
    windows->len = 0;
    if (question.len == 0 || context.len == 0)
        return QR_EMPTY_INPUT;
    size_t longest = qr_pipeline_max_tokens(pipeline);
    size_t max_seq_len = options->max_seq_len;
    if (max_seq_len == 0)
        max_seq_len = qr_min(longest, QR_SPAN_DEFAULT_SEQ_LEN);
    size_t stride = options->doc_stride;
    if (stride == 0)
        stride = qr_min(max_seq_len / 2, QR_SPAN_DEFAULT_STRIDE);
    if (max_seq_len > longest || stride > max_seq_len || options->max_answer_len == 0 ||
        options->top_k == 0 || options->top_k > QR_LIMIT_TOP_K)
        return QR_BAD_REQUEST;
    qr_status status = qr_tokenizer_encode_windows(qr_pipeline_tokenizer(pipeline), question,
                                                   context, max_seq_len, stride, windows);
    if (status == QR_OK && windows->len > QR__SPAN_MAX_CANDIDATES / qr__span_candidates(options))
        status = QR_TOO_LONG;
    if (status != QR_OK)
        windows->len = 0;
    return status;
}
