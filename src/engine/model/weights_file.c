/* engine/model/weights_file.c: opening a safetensors file, holding slots against its header, and
 * reading what they ask for. */
#include "engine/model/weights_file.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/model/tensor_data.h"

#define FILE_NAME "model.safetensors"

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
static qr_status read_header(qr__weights_file *weights, size_t file_bytes, qr_error *error) {
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
qr_status qr__weights_file_open(const char *dir, qr__weights_file *weights, qr_error *error) {
    if (!qr_file_exists(dir, FILE_NAME))
        return refuse_absent(dir, error);
    if (!qr_file_join(dir, FILE_NAME, weights->path, sizeof weights->path))
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

void qr__weights_file_close(qr__weights_file *weights) {
    qr__tensors_deinit(&weights->tensors);
    if (weights->fd >= 0)
        close(weights->fd);
    weights->fd = -1;
}

static bool same_time(struct timespec a, struct timespec b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool qr__weights_file_unchanged(const qr__weights_file *weights) {
    struct stat about;
    return fstat(weights->fd, &about) == 0 && (uintmax_t)about.st_size == weights->bytes &&
           same_time(about.st_mtim, weights->modified) &&
           same_time(about.st_ctim, weights->changed);
}

/* Early checkpoints call a norm's weight gamma and its bias beta. */
const qr__tensor *qr__weights_file_find(const qr__weights_file *weights,
                                        const qr__bert_slot *slot) {
    const qr__tensor *tensor = qr__tensors_find(&weights->tensors, slot->name);
    if (tensor == NULL && slot->old_name[0] != '\0')
        tensor = qr__tensors_find(&weights->tensors, slot->old_name);
    return tensor;
}

qr_status qr__weights_file_check(const qr__weights_file *weights, const qr__bert_slot *slot,
                                 qr_error *error) {
    const qr__tensor *tensor = qr__weights_file_find(weights, slot);
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
qr_status qr__weights_file_read(const qr__weights_file *weights, const qr__bert_slot *slot,
                                float *to, qr_error *error) {
    const qr__tensor *tensor = qr__weights_file_find(weights, slot);
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
    return QR_OK;
}
