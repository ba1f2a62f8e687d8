/* model/bert_load.c: a model directory -> qr_bert.
 *
 * config.json says which tensors there must be (bert_slots.c); the file's header says which there
 * are; only when all of them match is memory taken and the data read. So memory is bounded by the
 * file's own size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/model/bert_slots.h"
#include "engine/model/bert_store.h"
#include "engine/model/config_json.h"
#include "engine/model/safetensors.h"
#include "engine/model/tensor_data.h"

/* An open model.safetensors. */
struct weights {
    char path[QR_PATH_BYTES];
    int fd;
    size_t data_at; /* of the first tensor's bytes */
    struct qr__tensors tensors;
};

static qr_status refuse_absent(const char *dir, qr_error *error) {
    static const struct {
        const char *name, *hint;
    } others[] = {
        {"model.safetensors.index.json",
         "the weights are sharded: save them again with max_shard_size above their size"},
        {"pytorch_model.bin", "pytorch_model.bin is not read: convert it with transformers' "
                              "save_pretrained(safe_serialization=True)"},
        {"tf_model.h5",
         "tf_model.h5 is not read: convert it to model.safetensors with transformers"},
        {"onnx", "ONNX files are not read here: download the model.safetensors beside them"},
    };
    const char *hint = "download it with the other files of the model";
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (qr_file_exists(dir, others[i].name)) {
            hint = others[i].hint;
            break;
        }
    }
    return qr_error_set(error, QR_BAD_MODEL, "%s/model.safetensors: missing (%s)", dir, hint);
}

static qr_status read_header(struct weights *weights, size_t file_bytes, qr_error *error) {
    uint64_t length = 0; /* little-endian, as the machine is */
    if (file_bytes < 8 || qr_file_read_at(weights->fd, 0, &length, 8) != QR_OK)
        return qr_error_set(
            error, QR_BAD_MODEL,
            "%s: %zu bytes are too few for a safetensors file (truncated download?)", weights->path,
            file_bytes);
    if (length > QR_LIMIT_WEIGHTS_HEADER_BYTES)
        return qr_error_set(
            error, QR_BAD_MODEL,
            "%s: the header of %ju bytes is above the maximum of %u (is it a safetensors file?)",
            weights->path, (uintmax_t)length, QR_LIMIT_WEIGHTS_HEADER_BYTES);
    if (length > file_bytes - 8)
        return qr_error_set(
            error, QR_BAD_MODEL,
            "%s: the header of %ju bytes leads outside the file (truncated download?)",
            weights->path, (uintmax_t)length);
    char *header = malloc((size_t)length + 1);
    if (header == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the header", weights->path);
    weights->data_at = 8 + (size_t)length;
    qr_status status = qr_file_read_at(weights->fd, 8, header, (size_t)length);
    if (status != QR_OK)
        qr_error_set(error, status, "%s: the header could not be read", weights->path);
    else
        status = qr__tensors_parse(weights->path, header, (size_t)length,
                                   file_bytes - weights->data_at, &weights->tensors, error);
    free(header);
    return status;
}

static qr_status weights_open(const char *dir, struct weights *weights, qr_error *error) {
    size_t bytes = 0;
    if (!qr_file_exists(dir, "model.safetensors"))
        return refuse_absent(dir, error);
    if (!qr_file_join(dir, "model.safetensors", weights->path, sizeof weights->path))
        return qr_error_set(error, QR_BAD_MODEL, "%.200s...: the path is too long", dir);
    qr_status status =
        qr_file_open(weights->path, QR_LIMIT_WEIGHTS_FILE_BYTES, &weights->fd, &bytes, error);
    return status == QR_OK ? read_header(weights, bytes, error) : status;
}

static const struct qr__tensor *find(const struct weights *weights, const struct qr__slot *slot) {
    const struct qr__tensor *tensor = qr__tensors_find(&weights->tensors, slot->name);
    if (tensor == NULL && slot->old_name[0] != '\0')
        tensor = qr__tensors_find(&weights->tensors, slot->old_name);
    return tensor;
}

static qr_status check_slot(const struct weights *weights, const struct qr__slot *slot,
                            qr_error *error) {
    const struct qr__tensor *tensor = find(weights, slot);
    if (tensor == NULL)
        return qr_error_set(
            error, QR_BAD_MODEL,
            "%s: tensor `%s` is missing (does config.json belong to these weights?)", weights->path,
            slot->name);
    if (tensor->dtype == QR__DTYPE_OTHER)
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: tensor `%s` is stored as %s (F32, F16 and BF16 are supported)",
                            weights->path, tensor->name, tensor->dtype_name);
    struct qr__tensor wanted = {.rank = slot->rows == 0 ? 1 : 2,
                                .shape = {slot->rows == 0 ? slot->cols : slot->rows, slot->cols}};
    bool same = tensor->rank == wanted.rank && tensor->shape[0] == wanted.shape[0] &&
                (wanted.rank == 1 || tensor->shape[1] == wanted.shape[1]);
    if (same)
        return QR_OK;
    char has[96];
    char needs[96];
    qr__tensor_shape_text(tensor, has);
    qr__tensor_shape_text(&wanted, needs);
    return qr_error_set(
        error, QR_BAD_MODEL,
        "%s: tensor `%s` has shape %s, config.json asks for %s (does it belong to these weights?)",
        weights->path, tensor->name, has, needs);
}

static qr_status read_slots(const struct weights *weights, qr_bert *bert, qr_error *error) {
    for (size_t i = 0; i < bert->store->count; i++) {
        const struct qr__slot *slot = &bert->store->slots[i];
        const struct qr__tensor *tensor = find(weights, slot);
        float *to = (float *)(void *)(bert->store->base + slot->at);
        bool finite = false;
        if (qr__tensor_read(weights->fd, weights->data_at, tensor, to, &finite) != QR_OK)
            return qr_error_set(
                error, QR_BAD_MODEL,
                "%s: tensor `%s` could not be read (the file changed while it was loaded)",
                weights->path, tensor->name);
        if (!finite)
            return qr_error_set(error, QR_BAD_MODEL,
                                "%s: tensor `%s` holds NaN or infinity (the weights are damaged)",
                                weights->path, tensor->name);
        *slot->to = to;
        bert->info.parameters += qr__slot_elements(slot);
    }
    return QR_OK;
}

static void note_dtype(const struct weights *weights, const struct qr__slot *word,
                       qr_model_info *info) {
    static const char *const names[] = {[QR__F32] = "f32", [QR__F16] = "f16", [QR__BF16] = "bf16"};
    snprintf(info->dtype, sizeof info->dtype, "%s", names[find(weights, word)->dtype]);
}

static qr_status load_weights(const struct weights *weights, qr__family family, qr_bert *bert,
                              qr_error *error) {
    struct qr__slot *slots = NULL;
    size_t count = 0;
    qr_status status =
        qr__bert_slots(bert, family, &weights->tensors, weights->path, &slots, &count, error);
    for (size_t i = 0; status == QR_OK && i < count; i++)
        status = check_slot(weights, &slots[i], error);
    if (status != QR_OK) {
        free(slots);
        return status;
    }
    note_dtype(weights, &slots[0], &bert->info);
    if (weights->tensors.count > count)
        qr_log(QR_LOG_DEBUG, "%s: %zu tensors that the model does not need are skipped",
               weights->path, weights->tensors.count - count);
    bert->store = qr__bert_store_create(slots, count);
    if (bert->store == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the weights", weights->path);
    return read_slots(weights, bert, error);
}

qr_status qr_model_peek(const char *dir, qr_model_info *out, qr_error *error) {
    qr__family family;
    qr_status status = qr__config_read(dir, out, &family, error);
    return status == QR_OK ? qr__sentence_read(dir, out, error) : status;
}

qr_status qr_bert_load(const char *dir, qr_bert **out, qr_error *error) {
    qr__family family = QR__FAMILY_BERT;
    struct weights weights = {.fd = -1};
    *out = NULL;
    qr_bert *bert = calloc(1, sizeof *bert);
    if (bert == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for a model", dir);
    qr_status status = qr__config_read(dir, &bert->info, &family, error);
    if (status == QR_OK)
        status = qr__sentence_read(dir, &bert->info, error);
    if (status == QR_OK)
        status = weights_open(dir, &weights, error);
    if (status == QR_OK)
        status = load_weights(&weights, family, bert, error);
    qr__tensors_deinit(&weights.tensors);
    if (weights.fd >= 0)
        close(weights.fd);
    if (status != QR_OK) {
        qr_bert_destroy(bert);
        return status;
    }
    *out = bert;
    return QR_OK;
}

void qr_bert_destroy(qr_bert *bert) {
    if (bert == NULL)
        return;
    qr__bert_store_destroy(bert->store);
    qr_model_info_deinit(&bert->info);
    free(bert->layers);
    free(bert);
}
