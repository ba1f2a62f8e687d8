/* engine/model/bert_load.c: a model directory -> qr_model -> qr_bert.
 *
 * Opening: config.json says which tensors there must be (bert_slots.c), the weights file's
 * header says which there are, and all of them must match. Reading: only then is memory taken
 * and the data read. So memory is bounded by the file's own size.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/model/bert_slots.h"
#include "engine/model/bert_store.h"
#include "engine/model/config_json.h"
#include "engine/model/safetensors.h"
#include "engine/model/tensor_data.h"

/* An open model.safetensors. */
typedef struct weights_file {
    char path[QR_PATH_BYTES];
    int fd;
    size_t bytes;
    struct timespec modified, changed; /* when it was opened */
    size_t data_at;                    /* of the first tensor's bytes */
    qr__tensors tensors;
} weights_file;

struct qr_model {
    qr_model_info info;
    qr__family family;
    weights_file weights;
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

/* The length field is the first thing a hostile file lies about: it is held against the file's
 * size and our maximum before memory is taken for it. */
static qr_status read_header(weights_file *weights, size_t file_bytes, qr_error *error) {
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

/* The file stays open from here to the last tensor, so that what was checked and what is read
 * is one file. */
static qr_status weights_open(const char *dir, weights_file *weights, qr_error *error) {
    if (!qr_file_exists(dir, "model.safetensors"))
        return refuse_absent(dir, error);
    if (!qr_file_join(dir, "model.safetensors", weights->path, sizeof weights->path))
        return qr_error_set(error, QR_BAD_MODEL, "%.200s...: the path is too long", dir);
    qr_status status = qr_file_open(weights->path, QR_LIMIT_WEIGHTS_FILE_BYTES, &weights->fd,
                                    &weights->bytes, error);
    struct stat about;
    if (status == QR_OK && fstat(weights->fd, &about) == 0) {
        weights->modified = about.st_mtim;
        weights->changed = about.st_ctim;
    }
    return status == QR_OK ? read_header(weights, weights->bytes, error) : status;
}

/* Early checkpoints call a norm's weight gamma and its bias beta. */
static const qr__tensor *find(const weights_file *weights, const qr__bert_slot *slot) {
    const qr__tensor *tensor = qr__tensors_find(&weights->tensors, slot->name);
    if (tensor == NULL && slot->old_name[0] != '\0')
        tensor = qr__tensors_find(&weights->tensors, slot->old_name);
    return tensor;
}

static qr_status check_slot(const weights_file *weights, const qr__bert_slot *slot,
                            qr_error *error) {
    const qr__tensor *tensor = find(weights, slot);
    if (tensor == NULL)
        return qr_error_set(
            error, QR_BAD_MODEL,
            "%s: tensor `%s` is missing (does config.json belong to these weights?)", weights->path,
            slot->name);
    if (tensor->dtype == QR__DTYPE_OTHER)
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: tensor `%s` is stored as %s (F32, F16 and BF16 are supported)",
                            weights->path, tensor->name, tensor->dtype_name);
    qr__tensor wanted = {.rank = slot->rows == 0 ? 1 : 2,
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

/* Numbers are checked as they are read: a NaN in the weights would come out of every answer. */
static qr_status read_slots(const weights_file *weights, qr_bert *bert, qr_error *error) {
    for (size_t i = 0; i < bert->store->count; i++) {
        const qr__bert_slot *slot = &bert->store->slots[i];
        const qr__tensor *tensor = find(weights, slot);
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
    }
    return QR_OK;
}

/* The table of tensors that the model is made of, each of them there and of the right shape.
 * *slots: returns owned, also after a fault. */
static qr_status match_slots(const qr_model *model, qr_bert *bert, qr__bert_slot **slots,
                             size_t *count, qr_error *error) {
    const weights_file *weights = &model->weights;
    qr_status status =
        qr__bert_slots(bert, model->family, &weights->tensors, weights->path, slots, count, error);
    for (size_t i = 0; status == QR_OK && i < *count; i++)
        status = check_slot(weights, &(*slots)[i], error);
    return status;
}

/* Checks the weights' table against config.json on a bert that is made for this only, and
 * completes the info. */
static qr_status check_weights(qr_model *model, qr_error *error) {
    static const char *const dtypes[] = {[QR__F32] = "f32", [QR__F16] = "f16", [QR__BF16] = "bf16"};
    qr_bert bert = {.info = model->info};
    qr__bert_slot *slots = NULL;
    size_t count = 0;
    qr_status status = match_slots(model, &bert, &slots, &count, error);
    if (status == QR_OK) {
        qr_model_info *info = &model->info;
        const qr__tensor *word = find(&model->weights, &slots[0]);
        snprintf(info->dtype, sizeof info->dtype, "%s", dtypes[word->dtype]);
        for (size_t i = 0; i < count; i++)
            info->parameters += qr__bert_slot_elements(&slots[i]);
        if (model->weights.tensors.count > count)
            qr_log(QR_LOG_DEBUG, "%s: %zu tensors that the model does not need are skipped",
                   model->weights.path, model->weights.tensors.count - count);
    }
    free(slots);
    free(bert.layers);
    return status;
}

qr_status qr_model_open(const char *dir, qr_model **out, qr_error *error) {
    *out = NULL;
    qr_model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for a model", dir);
    model->weights.fd = -1;
    qr_status status = qr__config_read(dir, &model->info, &model->family, error);
    if (status == QR_OK)
        status = qr__sentence_read(dir, &model->info, error);
    if (status == QR_OK)
        status = weights_open(dir, &model->weights, error);
    if (status == QR_OK)
        status = check_weights(model, error);
    if (status != QR_OK) {
        qr_model_close(model);
        return status;
    }
    *out = model;
    return QR_OK;
}

const qr_model_info *qr_model_get_info(const qr_model *model) {
    return &model->info;
}

void qr_model_close(qr_model *model) {
    if (model == NULL)
        return;
    qr__tensors_deinit(&model->weights.tensors);
    if (model->weights.fd >= 0)
        close(model->weights.fd);
    qr__model_info_deinit(&model->info);
    free(model);
}

/* A bert without tensors: the facts alone. */
static qr_status create_bert(const qr_model *model, qr_bert **out, qr_error *error) {
    qr_bert *bert = calloc(1, sizeof *bert);
    *out = NULL;
    if (bert == NULL || !qr__model_info_copy(&model->info, &bert->info)) {
        free(bert);
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for a model", model->weights.path);
    }
    *out = bert;
    return QR_OK;
}

qr_status qr_bert_read(const qr_model *model, qr_bert **out, qr_error *error) {
    qr__bert_slot *slots = NULL;
    size_t count = 0;
    qr_bert *bert;
    *out = NULL;
    qr_status status = create_bert(model, &bert, error);
    if (status != QR_OK)
        return status;
    status = match_slots(model, bert, &slots, &count, error);
    if (status != QR_OK) {
        free(slots);
    } else if ((bert->store = qr__bert_store_create(slots, count)) == NULL) { /* takes the slots */
        status =
            qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the weights", model->weights.path);
    } else {
        status = read_slots(&model->weights, bert, error);
    }
    if (status != QR_OK) {
        qr_bert_destroy(bert);
        return status;
    }
    *out = bert;
    return QR_OK;
}

/* Only slots whose tensor follows take memory. *slots and *count become those. */
static qr_status keep_saved(const qr_source *source, qr__bert_slot *slots, size_t *count) {
    uint8_t *kept = malloc(*count);
    if (kept == NULL)
        return QR_NO_MEMORY;
    qr_status status = qr_source_read(source, kept, *count);
    size_t len = 0;
    for (size_t i = 0; status == QR_OK && i < *count; i++) {
        if (kept[i] > 1)
            status = QR_IO;
        else if (kept[i] == 1)
            slots[len++] = slots[i];
    }
    free(kept);
    *count = len;
    return status;
}

static qr_status load_slots(const qr_source *source, qr_bert *bert) {
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < bert->store->count; i++) {
        const qr__bert_slot *slot = &bert->store->slots[i];
        float *to = (float *)(void *)(bert->store->base + slot->at);
        status = qr_source_read(source, to, qr__bert_slot_elements(slot) * sizeof *to);
        *slot->to = to;
    }
    return status;
}

qr_status qr_bert_load(const qr_model *model, const qr_source *source, qr_bert **out,
                       qr_error *error) {
    qr__bert_slot *slots = NULL;
    size_t count = 0;
    qr_bert *bert;
    *out = NULL;
    qr_status status = create_bert(model, &bert, error);
    if (status != QR_OK)
        return status;
    status = match_slots(model, bert, &slots, &count, error);
    if (status == QR_OK)
        status = keep_saved(source, slots, &count);
    if (status != QR_OK || count == 0)
        free(slots);
    else if ((bert->store = qr__bert_store_create(slots, count)) == NULL) /* takes the slots */
        status = QR_NO_MEMORY;
    else
        status = load_slots(source, bert);
    if (status != QR_OK || count == 0) {
        qr_bert_destroy(bert);
        return qr_error_set(error, status == QR_OK ? QR_IO : status,
                            "the saved tensors do not fit the model");
    }
    *out = bert;
    return QR_OK;
}

qr_status qr_model_write_file(const qr_model *model, const qr_sink *sink) {
    return qr_sink_write_file(sink, model->weights.fd, model->weights.bytes);
}

static bool same_time(struct timespec a, struct timespec b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool qr_model_unchanged(const qr_model *model) {
    const weights_file *weights = &model->weights;
    struct stat about;
    return fstat(weights->fd, &about) == 0 && (uintmax_t)about.st_size == weights->bytes &&
           same_time(about.st_mtim, weights->modified) &&
           same_time(about.st_ctim, weights->changed);
}

void qr_bert_destroy(qr_bert *bert) {
    if (bert == NULL)
        return;
    qr__bert_store_destroy(bert->store);
    qr__model_info_deinit(&bert->info);
    free(bert->layers);
    free(bert);
}
