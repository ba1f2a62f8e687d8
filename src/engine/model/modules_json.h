/* engine/model/modules_json.h: a sentence-transformers model's modules, each with a config.json of
 * its own. Private to model/.
 *
 *     status = qr__pooling_read(dir, "1_Pooling", info, error);
 *     status = qr__dense_read(dir, "2_Dense", info, error);
 *     info->embedding = qr__sentence_width(info);
 */
#ifndef QR_ENGINE_MODEL_MODULES_JSON_H
#define QR_ENGINE_MODEL_MODULES_JSON_H

#include "engine/model/model_json.h"
#include "engine/model_info.h"

/** Loads dir/folder/config.json, an object; `folder` "": dir/config.json. As qr__json_load. */
QR_MUST_USE qr_status qr__module_load(const char *dir, const char *folder, qr__model_json *file,
                                      qr_error *error);

/** Sets the poolings to those of a Pooling module. QR_BAD_MODEL: a mode that is not known, or the
 * width of another model. */
QR_MUST_USE qr_status qr__pooling_read(const char *dir, const char *folder, qr_model_info *info,
                                       qr_error *error);

/** The boolean that files have for a mode, "pooling_mode_mean_tokens". */
const char *qr__pooling_flag(qr_pooling pooling);

/** Appends a Dense module that reads what comes before it. QR_BAD_MODEL. */
QR_MUST_USE qr_status qr__dense_read(const char *dir, const char *folder, qr_model_info *info,
                                     qr_error *error);

/** The activation's class in torch, "Tanh". */
const char *qr__dense_activation_name(qr_dense_activation activation);

/** Floats of the vector behind the modules so far. */
size_t qr__sentence_width(const qr_model_info *info);

/** "Tanh" of "torch.nn.modules.activation.Tanh": Python's classes moved between versions, their
 * names stayed. */
const char *qr__last_component(const char *dotted);

#endif
