/* engine/model/open_model.h: what a qr_model is. Private to model/. */
#ifndef QR_ENGINE_MODEL_OPEN_MODEL_H
#define QR_ENGINE_MODEL_OPEN_MODEL_H

#include "engine/model/bert_slots.h"
#include "engine/model/weight_source.h"

struct qr_model {
    qr_model_info info;
    qr_model_files files;
    qr__slot_names names;
    qr_import *import; /* owned; NULL: there is no graph */
    /* Its own, then those of Dense modules with files. */
    qr__weight_source weights[1 + QR_LIMIT_DENSES];
    size_t weights_len;
};

/** The table of tensors that the model is made of, each of them there and of the right shape.
 * `bert` has the model's info. *slots: returns owned, also after a fault. */
QR_MUST_USE qr_status qr__model_match(const qr_model *model, qr_bert *bert, qr__bert_slot **slots,
                                      size_t *count, qr_error *error);

#endif
