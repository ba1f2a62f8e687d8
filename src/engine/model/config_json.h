/* engine/model/config_json.h: what the JSON files beside the weights say. Private to model/.
 *
 *     qr__family family;
 *     status = qr__config_read(dir, &info, &family, error);    // info zeroed before
 *     status = qr__sentence_read(dir, &info, error);
 *     qr__model_info_deinit(&info);
 */
#ifndef QR_ENGINE_MODEL_CONFIG_JSON_H
#define QR_ENGINE_MODEL_CONFIG_JSON_H

#include "engine/model/model_json.h"
#include "engine/model_info.h"

typedef enum qr__family {
    QR__FAMILY_BERT,
    QR__FAMILY_DISTILBERT,
    QR__FAMILY_ELECTRA, /* as BERT, but for the embeddings' size and the heads */
    QR__FAMILIES
} qr__family;

/** The families' names for a size. */
typedef struct qr__config_size {
    const char *names[2]; /* BERT's and ELECTRA's, DistilBERT's; NULL: not a key of that family */
    size_t offset, max;   /* of the member in qr_model_info */
    size_t fallback;      /* 0: the key is required */
} qr__config_size;

#define QR__CONFIG_SIZES 7u

/** All sizes but that of ELECTRA's word embeddings, `embedding_size`. */
extern const qr__config_size qr__config_sizes[QR__CONFIG_SIZES];

/** The family that a `model_type` names. False: it is none of ours. */
bool qr__config_family(const char *type, qr__family *family);

/** Its `model_type`, "distilbert". */
const char *qr__config_type(qr__family family);

/** The architecture of a family with a head, "DistilBertForQuestionAnswering". */
const char *qr__config_architecture(qr__family family, qr_head head);

/** The head of an architecture, "BertForQuestionAnswering". False: it is none of the family's. */
bool qr__config_head(const char *architecture, qr__family family, qr_head *head);

/** The activation of its name, "gelu_new". False: it is none of ours. */
bool qr__config_activation(const char *name, qr_activation *activation);

/** Reads config.json: family, architecture, sizes, activation, head, labels. `info` comes zeroed;
 * label names are its own (qr__model_info_deinit), also after a failure. */
QR_MUST_USE qr_status qr__config_read(const char *dir, qr_model_info *info, qr__family *family,
                                      qr_error *error);

/** Reads of config.json what it says of the labels of info->head: names, problem_type, a
 * cross-encoder's function. info->labels: how many a graph gives, with which the file must agree;
 * 0: as the file says. A file without a root says nothing. */
QR_MUST_USE qr_status qr__labels_read(const qr__model_json *file, qr_model_info *info,
                                      qr_error *error);

/** A `problem_type`, "regression"; the problem must be stated. */
const char *qr__problem_name(qr_problem problem);

/** Reads modules.json, the pooling module's config.json and sentence_bert_config.json, each where
 * present: pooling, normalize, and what is done to texts. `info` comes from qr__config_read. */
QR_MUST_USE qr_status qr__sentence_read(const char *dir, qr_model_info *info, qr_error *error);

/** Whether modules.json or the pooling module's config.json is there. */
bool qr__sentence_pools(const char *dir);

/** Reads of the same files only what is done to texts: info->max_seq_length (0: it is not there)
 * and info->lowers_texts. */
QR_MUST_USE qr_status qr__sentence_read_texts(const char *dir, qr_model_info *info,
                                              qr_error *error);

/** A copy with label names of its own. False: no memory (nothing to deinit). */
QR_MUST_USE bool qr__model_info_copy(const qr_model_info *from, qr_model_info *to);

/** Frees the label names. */
void qr__model_info_deinit(qr_model_info *info);

#endif
