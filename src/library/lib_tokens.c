/* library/lib_tokens.c: a text to tokens, or to their number. */
#include "library/library_internal.h"

static void give(const qr_encoding *encoding, qr_lib_token *tokens, size_t room) {
    size_t len = qr_min(encoding->len, room);
    for (size_t t = 0; t < len; t++)
        tokens[t] = (qr_lib_token){.id = encoding->ids[t],
                                   .special = encoding->special[t] != 0,
                                   .begin_byte = encoding->begin[t],
                                   .end_byte = encoding->end[t]};
}

qr_lib_status qr_lib_tokenize(qr_lib_model *model, qr_lib_text text,
                              const qr_lib_tokenize_options *options, qr_lib_token *tokens,
                              size_t room, size_t *count, qr_lib_error *error) {
    qr_lib_tokenize_options own;
    qr_lib_status status = qr__lib_begin(model, "model", error);
    if (status == QR_LIB_OK)
        status = qr__lib_begin(count, "count", error);
    if (status == QR_LIB_OK)
        status = qr__lib_options_read(options, &own, sizeof own, QR__LIB_FIRST_TOKENIZE_OPTIONS,
                                      "qr_lib_tokenize_options", error);
    if (status == QR_LIB_OK)
        status = qr__lib_choice_check("without_special", own.without_special, 1, error);
    if (status == QR_LIB_OK)
        status = qr__lib_choice_check("reserved", own.reserved, 0, error);
    if (status == QR_LIB_OK)
        status = qr__lib_text_check("text", text, error);
    if (status == QR_LIB_OK)
        status = qr__lib_room_check("tokens", tokens, room, room, 1, error);
    if (status != QR_LIB_OK)
        return status;
    qr__seat *seat;
    status = qr__seat_take(model, &seat, error);
    if (status != QR_LIB_OK)
        return status;
    const qr_encode_options encode = {.special = own.without_special == 0};
    qr_status encoded = qr_tokenizer_encode(qr_pipeline_tokenizer(model->pipeline),
                                            qr__lib_text(text), NULL, &encode, &seat->encoding);
    if (encoded == QR_OK) {
        give(&seat->encoding, tokens, room);
        *count = seat->encoding.len;
    } else {
        status = qr__lib_fault(error, qr__lib_status_of(encoded), "text: %s",
                               qr_lib_status_text(qr__lib_status_of(encoded)));
    }
    qr__seat_give(model, seat);
    return status;
}
