/* engine/model/bert_load.c: an open model -> qr_bert, from its own weights or from a saved plan. */
#include <stdlib.h>

#include "engine/model/open_model.h"

static qr_status read_slots(const qr_model *model, qr_bert *bert, qr_error *error) {
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < bert->store->count; i++) {
        const qr__bert_slot *slot = &bert->store->slots[i];
        const qr__weight_source *from = &model->weights[slot->file];
        float *to = (float *)(void *)(bert->store->base + slot->at);
        status = from->kind->read(from, slot, to, error);
        if (status == QR_OK)
            *slot->to = to;
    }
    return status;
}

/* A bert without tensors: the facts alone. */
static qr_status create_bert(const qr_model *model, qr_bert **out, qr_error *error) {
    qr_bert *bert = calloc(1, sizeof *bert);
    *out = NULL;
    if (bert == NULL || !qr__model_info_copy(&model->info, &bert->info)) {
        free(bert);
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for a model",
                            model->weights[0].path);
    }
    *out = bert;
    return QR_OK;
}

qr_status qr_bert_read(const qr_model *model, qr_bert **out, qr_error *error) {
    qr__bert_slot *slots = NULL;
    size_t count = 0;
    qr_bert *bert;
    *out = NULL;
    qr_status status = create_bert(model, &bert, error);
    if (status != QR_OK)
        return status;
    status = qr__model_match(model, bert, &slots, &count, error);
    if (status != QR_OK) {
        free(slots);
    } else if ((bert->store = qr__bert_store_create(slots, count)) == NULL) { /* takes the slots */
        status = qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the weights",
                              model->weights[0].path);
    } else {
        status = read_slots(model, bert, error);
    }
    if (status != QR_OK) {
        qr_bert_destroy(bert);
        return status;
    }
    *out = bert;
    return QR_OK;
}

/* Only slots whose tensor follows take memory. *slots and *count become those. */
static qr_status keep_saved(const qr_source *source, qr__bert_slot *slots, size_t *count) {
    uint8_t *kept = malloc(*count);
    if (kept == NULL)
        return QR_NO_MEMORY;
    qr_status status = qr_source_read(source, kept, *count);
    size_t len = 0;
    for (size_t i = 0; status == QR_OK && i < *count; i++) {
        if (kept[i] > 1)
            status = QR_IO;
        else if (kept[i] == 1)
            slots[len++] = slots[i];
    }
    free(kept);
    *count = len;
    return status;
}

static qr_status load_slots(const qr_source *source, qr_bert *bert) {
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < bert->store->count; i++) {
        const qr__bert_slot *slot = &bert->store->slots[i];
        float *to = (float *)(void *)(bert->store->base + slot->at);
        status = qr_source_read(source, to, qr__bert_slot_elements(slot) * sizeof *to);
        *slot->to = to;
    }
    return status;
}

qr_status qr_bert_load(const qr_model *model, const qr_source *source, qr_bert **out,
                       qr_error *error) {
    qr__bert_slot *slots = NULL;
    size_t count = 0;
    qr_bert *bert;
    *out = NULL;
    qr_status status = create_bert(model, &bert, error);
    if (status != QR_OK)
        return status;
    status = qr__model_match(model, bert, &slots, &count, error);
    if (status == QR_OK)
        status = keep_saved(source, slots, &count);
    if (status != QR_OK || count == 0)
        free(slots);
    else if ((bert->store = qr__bert_store_create(slots, count)) == NULL) /* takes the slots */
        status = QR_NO_MEMORY;
    else
        status = load_slots(source, bert);
    if (status != QR_OK || count == 0) {
        qr_bert_destroy(bert);
        return qr_error_set(error, status == QR_OK ? QR_IO : status,
                            "the saved tensors do not fit the model");
    }
    *out = bert;
    return QR_OK;
}

void qr_bert_destroy(qr_bert *bert) {
    if (bert == NULL)
        return;
    qr__bert_store_destroy(bert->store);
    qr__model_info_deinit(&bert->info);
    free(bert->layers);
    free(bert);
}
