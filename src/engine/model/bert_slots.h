/* engine/model/bert_slots.h: the table of tensors that a model's facts ask for. Private to model/.
 * */
#ifndef QR_ENGINE_MODEL_BERT_SLOTS_H
#define QR_ENGINE_MODEL_BERT_SLOTS_H

#include "engine/model/bert_store.h"
#include "engine/model/config_json.h"
#include "engine/model/recognise.h"

/** How the tensors are called. */
typedef struct qr__slot_names {
    qr__family family;
    const char *prefix;          /* "bert.", "" */
    const qr__recognised *graph; /* what they were recognised in (family BERT, no prefix), borrowed;
                                    NULL: they come from a file */
} qr__slot_names;

/** What stands before the names of a family's tensors in some files: "bert.". */
const char *qr__family_prefix(qr__family family);

/** Builds the slots of bert->info's model, allocates bert->layers and fills in the linears' sizes.
 * *slots is owned by the caller, also after a failure; the first is the word embeddings. `path`:
 * for messages. */
QR_MUST_USE qr_status qr__bert_slots(qr_bert *bert, const qr__slot_names *names, const char *path,
                                     qr__bert_slot **slots, size_t *count, qr_error *error);

#endif
