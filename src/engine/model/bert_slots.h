/* engine/model/bert_slots.h: the table of tensors that a config asks for. Private to model/. */
#ifndef QR_ENGINE_MODEL_BERT_SLOTS_H
#define QR_ENGINE_MODEL_BERT_SLOTS_H

#include "engine/model/bert_store.h"
#include "engine/model/config_json.h"
#include "engine/model/safetensors.h"

/** Builds the slots of bert->info's model, allocates bert->layers and fills in the linears' sizes.
 * Names take the prefix that the file uses ("bert.", "distilbert." or none). *slots is owned by the
 * caller, also after a failure; the first is the word embeddings. */
QR_MUST_USE qr_status qr__bert_slots(qr_bert *bert, qr__family family, const qr__tensors *tensors,
                                     const char *path, qr__bert_slot **slots, size_t *count,
                                     qr_error *error);

#endif
