/* config/model_list.h: private to config/: one model of the YAML file's `models`. */
#ifndef QR_CONFIG_MODEL_LIST_H
#define QR_CONFIG_MODEL_LIST_H

#include "config/option.h"

#define QR__MODELS_KEY "models"

extern const qr__option_row qr__model_key_rows[QR_MODEL_KEY_COUNT];

/** Where in a file a key of the model at `index` stands, counted from 1; the model's first line
 * when it is not found, as in a flow mapping, or is NULL; 0: neither is. */
size_t qr__model_line(qr_text file, size_t index, const char *key);

/** Takes what the file at `path` says of the model at `index`: a text a key, NULL where it is
 * absent. QR_BAD_OPTION names file, line, model and key; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__model_add(qr_config *config, size_t index,
                                    char *const texts[QR_MODEL_KEY_COUNT], const char *path,
                                    qr_text file, qr_error *error);

/** The fault of a key that no model has. Returns QR_BAD_OPTION. */
qr_status qr__model_key_unknown(size_t index, const char *key, const char *path, qr_text file,
                                qr_error *error);

#endif
