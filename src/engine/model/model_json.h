/* engine/model/model_json.h: JSON files of a model directory, read with messages that say where.
 * Private to model/.
 *
 *     qr__model_json file;
 *     status = qr__json_load(dir, "config.json", &file, error);
 *     status = qr__json_size(&file, "hidden_size", 1, QR_LIMIT_HIDDEN, NULL, &info->hidden, error);
 *     qr__json_deinit(&file);
 *
 * Duplicate keys, NUL characters and trailing bytes are refused for every file.
 */
#ifndef QR_ENGINE_MODEL_JSON_H
#define QR_ENGINE_MODEL_JSON_H

#include <jansson.h>

#include "base/base.h"

typedef struct qr__model_json {
    json_t *root; /* owned */
    char path[QR_PATH_BYTES];
} qr__model_json;

/** Reads dir/name. QR_IO: it cannot be read; QR_BAD_MODEL: it is not valid JSON, with line and
 * byte. */
QR_MUST_USE qr_status qr__json_load(const char *dir, const char *name, qr__model_json *out,
                                    qr_error *error);

/** Also after a load that failed. */
void qr__json_deinit(qr__model_json *file);

/** The root's integer `key` in [min, max]. Absent or null: *fallback, or an error without one. */
QR_MUST_USE qr_status qr__json_size(const qr__model_json *file, const char *key, size_t min,
                                    size_t max, const size_t *fallback, size_t *out,
                                    qr_error *error);

/** The root's text `key`; absent or null: `fallback`. The text lives as long as the file. */
QR_MUST_USE qr_status qr__json_text(const qr__model_json *file, const char *key,
                                    const char *fallback, const char **out, qr_error *error);

/** The root's boolean `key`; absent or null: false. */
QR_MUST_USE qr_status qr__json_bool(const qr__model_json *file, const char *key, bool *out,
                                    qr_error *error);

#endif
