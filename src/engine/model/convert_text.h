/* engine/model/convert_text.h: the JSON files of a model directory, written. Private to model/.
 *
 *     qr_buf out;
 *     qr_buf_init(&out, QR_LIMIT_JSON_FILE_BYTES);
 *     qr__config_text(&info, QR__FAMILY_BERT, &out);
 *     status = qr__new_dir_write(&fresh, "config.json", &out, error);
 *
 * Each appends one file; a failure stays in the buffer's flag. What is written is what
 * config_json.c and its kin read, and transformers and sentence-transformers.
 */
#ifndef QR_ENGINE_MODEL_CONVERT_TEXT_H
#define QR_ENGINE_MODEL_CONVERT_TEXT_H

#include "engine/model/config_json.h"

/** config.json. info->architecture is of the family. */
void qr__config_text(const qr_model_info *info, qr__family family, qr_buf *out);

/** modules.json: Transformer, Pooling, Dense modules, Normalize, in the folders that
 * info->dense and the functions below say. */
void qr__modules_text(const qr_model_info *info, qr_buf *out);

/** The config.json of the pooling's folder, "1_Pooling". */
void qr__pooling_text(const qr_model_info *info, qr_buf *out);

/** The config.json of a Dense module's folder. */
void qr__dense_text(const qr_dense *dense, qr_buf *out);

/** sentence_bert_config.json. */
void qr__sentence_text(const qr_model_info *info, qr_buf *out);

#endif
