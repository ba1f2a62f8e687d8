/* pipeline/tokens_encode.c: a text becomes one window, cut at the longest input, or several. */
#include "pipeline/pipeline.h"

qr_status qr_tokens_encode(const qr_pipeline *pipeline, qr_text text,
                           const qr_tokens_options *options, qr_windows *windows) {
    const size_t longest = qr_pipeline_max_tokens(pipeline), specials = 2;
    size_t stride = options->windows ? options->stride : 0;
    windows->len = 0;
    if (longest <= specials || stride >= longest - specials)
        return QR_BAD_REQUEST;
    return qr_tokenizer_encode_parts(qr_pipeline_tokenizer(pipeline), text, longest, stride,
                                     options->windows ? SIZE_MAX : 1, windows);
}

size_t qr_tokens_most(const qr_windows *windows) {
    size_t most = 0;
    for (size_t w = 0; w < windows->len; w++)
        most += windows->items[w].len;
    return most;
}
