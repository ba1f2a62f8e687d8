/* engine/model/config_json.h: what the JSON files beside the weights say. Private to model/. */
#ifndef QR_ENGINE_MODEL_CONFIG_JSON_H
#define QR_ENGINE_MODEL_CONFIG_JSON_H

#include "engine/model_info.h"

typedef enum qr__family {
    QR__FAMILY_BERT,
    QR__FAMILY_DISTILBERT,
    QR__FAMILY_ELECTRA, /* as BERT, but for the embeddings' size and the heads */
    QR__FAMILIES
} qr__family;

/** Reads config.json: family, architecture, sizes, activation, head, labels. `info` comes zeroed;
 * label names are its own (qr__model_info_deinit), also after a failure. */
QR_MUST_USE qr_status qr__config_read(const char *dir, qr_model_info *info, qr__family *family,
                                      qr_error *error);

/** Reads modules.json, the pooling module's config.json and sentence_bert_config.json, each where
 * present: pooling, normalize, max_seq_length. `info` comes from qr__config_read. */
QR_MUST_USE qr_status qr__sentence_read(const char *dir, qr_model_info *info, qr_error *error);

/** A copy with label names of its own. False: no memory (nothing to deinit). */
QR_MUST_USE bool qr__model_info_copy(const qr_model_info *from, qr_model_info *to);

/** Frees the label names. */
void qr__model_info_deinit(qr_model_info *info);

#endif
