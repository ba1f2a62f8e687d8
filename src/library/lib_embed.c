/* library/lib_embed.c: texts to vectors. */
#include "library/library_internal.h"

typedef struct job {
    size_t width, dimensions; /* of the model's vectors, and how much of them is asked for */
    bool normalize;
    float *vectors; /* [count][dimensions], the caller's */
} job;

static void take(void *state, size_t index, const float *floats, size_t tokens) {
    const job *j = state;
    (void)tokens;
    qr_embed_finish(floats, j->width, j->dimensions, j->normalize,
                    j->vectors + index * j->dimensions);
}

static qr_lib_status check(const qr_lib_model *model, const qr_lib_embed_options *options,
                           qr_lib_error *error) {
    qr_lib_status status =
        qr__lib_kind_check(model, QR_KIND_EMBEDDING, QR_KIND_EMBEDDING, "qr_lib_embed", error);
    if (status == QR_LIB_OK)
        status = qr__lib_number_check("dimensions", options->dimensions, qr__lib_dimensions(model),
                                      error);
    if (status == QR_LIB_OK)
        status = qr__lib_choice_check("normalize", options->normalize, QR_LIB_NORMALIZE_NO, error);
    if (status == QR_LIB_OK)
        status = qr__lib_choice_check("long_text", options->long_text, QR_LIB_LONG_REFUSE, error);
    return status;
}

static qr_lib_status embed(qr_lib_model *model, qr__seat *seat, job *j, const qr_lib_text *texts,
                           size_t count, int long_text, qr_lib_error *error) {
    qr__batches run;
    qr_lib_status status = qr__batches_init(&run, model, seat, take, j, error);
    for (size_t i = 0; status == QR_LIB_OK && i < count; i++)
        status = qr__batches_add_text(&run, qr__lib_text(texts[i]), NULL, long_text, i, error);
    return status == QR_LIB_OK ? qr__batches_finish(&run, error) : status;
}

qr_lib_status qr_lib_embed(qr_lib_model *model, const qr_lib_text *texts, size_t count,
                           const qr_lib_embed_options *options, float *vectors, size_t room,
                           qr_lib_error *error) {
    qr_lib_embed_options own;
    qr_lib_status status = qr__lib_begin(model, "model", error);
    if (status == QR_LIB_OK)
        status = qr__lib_options_read(options, &own, sizeof own, QR__LIB_FIRST_EMBED_OPTIONS,
                                      "qr_lib_embed_options", error);
    if (status == QR_LIB_OK)
        status = check(model, &own, error);
    if (status != QR_LIB_OK)
        return status;
    const qr_model_info *about = qr_engine_model(qr_pipeline_engine(model->pipeline));
    size_t width = qr__lib_dimensions(model);
    job j = {.width = width,
             .dimensions = own.dimensions == 0 ? width : own.dimensions,
             .normalize = own.normalize == QR_LIB_NORMALIZE_AS_MODEL
                              ? about->normalize
                              : own.normalize == QR_LIB_NORMALIZE_YES,
             .vectors = vectors};
    /* The room comes before the texts: a wrong count is seen there before it is believed. */
    status = qr__lib_room_check("vectors", vectors, room, count, j.dimensions, error);
    if (status == QR_LIB_OK)
        status = qr__lib_texts_check("texts", texts, count, error);
    if (status != QR_LIB_OK || count == 0)
        return status;
    qr__seat *seat;
    status = qr__seat_take(model, &seat, error);
    if (status == QR_LIB_OK)
        status = embed(model, seat, &j, texts, count, own.long_text, error);
    qr__seat_give(model, seat);
    return status;
}
