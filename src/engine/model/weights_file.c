/* engine/model/weights_file.c: opening a safetensors file, holding slots against its header, and
 * reading what they ask for. */
#include "engine/model/weights_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/model/safetensors.h"
#include "engine/model/tensor_data.h"

#define FILE_NAME "model.safetensors"

/** The file stays open from the check of its header to the last tensor, so that what was checked
 * and what is read is one file. */
typedef struct qr__weights_file {
    char path[QR_PATH_BYTES];
    int fd; /* -1: not open */
    size_t bytes;
    struct timespec modified, changed; /* when it was opened */
    size_t data_at;                    /* of the first tensor's bytes */
    qr__tensors tensors;
} qr__weights_file;

static qr_status refuse_absent(const char *dir, qr_error *error) {
    static const struct {
        const char *name, *hint;
    } others[] = {
        {"model.safetensors.index.json",
         "the weights are sharded: save them again with max_shard_size above their size"},
        {"pytorch_model.bin.index.json",
         "pytorch_model-....bin are not read: convert them with transformers' "
         "save_pretrained(safe_serialization=True)"},
        {"pytorch_model.bin", "pytorch_model.bin is not read: convert it with transformers' "
                              "save_pretrained(safe_serialization=True)"},
        {"tf_model.h5",
         "tf_model.h5 is not read: convert it to model.safetensors with transformers"},
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

static qr_status open_file(const char *dir, qr__weights_file *file, qr_error *error) {
    if (!qr_file_join(dir, FILE_NAME, file->path, sizeof file->path))
        return qr_error_set(error, QR_BAD_MODEL, "%.200s...: the path is too long", dir);
    qr_status status =
        qr_file_open(file->path, QR_LIMIT_WEIGHTS_FILE_BYTES, &file->fd, &file->bytes, error);
    struct stat about;
    if (status == QR_OK && fstat(file->fd, &about) == 0) {
        file->modified = about.st_mtim;
        file->changed = about.st_ctim;
    }
    return status == QR_OK ? read_header(file, file->bytes, error) : status;
}

static void close_file(qr__weight_source *weights) {
    qr__weights_file *file = weights->of.file;
    qr__tensors_deinit(&file->tensors);
    if (file->fd >= 0)
        close(file->fd);
    free(file);
}

static bool same_time(struct timespec a, struct timespec b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_unchanged(const qr__weight_source *weights) {
    const qr__weights_file *file = weights->of.file;
    struct stat about;
    return fstat(file->fd, &about) == 0 && (uintmax_t)about.st_size == file->bytes &&
           same_time(about.st_mtim, file->modified) && same_time(about.st_ctim, file->changed);
}

static qr_status write_file(const qr__weight_source *weights, const qr_sink *sink) {
    return qr_sink_write_file(sink, weights->of.file->fd, weights->of.file->bytes);
}

/* Early checkpoints call a norm's weight gamma and its bias beta. */
static const qr__tensor *find(const qr__weight_source *weights, const qr__bert_slot *slot) {
    const qr__tensors *tensors = &weights->of.file->tensors;
    const qr__tensor *tensor = qr__tensors_find(tensors, slot->name);
    if (tensor == NULL && slot->old_name[0] != '\0')
        tensor = qr__tensors_find(tensors, slot->old_name);
    return tensor;
}

static qr_status check_slot(const qr__weight_source *weights, const qr__bert_slot *slot,
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
static qr_status read_slot(const qr__weight_source *weights, const qr__bert_slot *slot, float *to,
                           qr_error *error) {
    const qr__tensor *tensor = find(weights, slot);
    const qr__weights_file *file = weights->of.file;
    bool finite = false;
    if (qr__tensor_read(file->fd, file->data_at, tensor, to, &finite) != QR_OK)
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

static const char *dtype_of(const qr__weight_source *weights, const qr__bert_slot *slot) {
    static const char *const names[] = {[QR__F32] = "f32", [QR__F16] = "f16", [QR__BF16] = "bf16"};
    return names[find(weights, slot)->dtype];
}

static size_t count_tensors(const qr__weight_source *weights) {
    return weights->of.file->tensors.count;
}

static const qr__weight_source_kind of_file = {
    .check = check_slot,
    .read = read_slot,
    .dtype = dtype_of,
    .tensors = count_tensors,
    .write_files = write_file,
    .unchanged = is_unchanged,
    .close = close_file,
};

qr_status qr__weights_file_open(const char *dir, qr__weight_source *weights, qr_error *error) {
    if (!qr_file_exists(dir, FILE_NAME))
        return refuse_absent(dir, error);
    qr__weights_file *file = calloc(1, sizeof *file);
    if (file == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for a file's header", dir);
    file->fd = -1;
    *weights = (qr__weight_source){.kind = &of_file, .path = file->path, .of.file = file};
    return open_file(dir, file, error);
}

const char *qr__weights_file_prefix(const qr__weight_source *weights, const char *prefix) {
    const char *const candidates[] = {prefix, ""};
    for (size_t i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof name, "%sembeddings.word_embeddings.weight", candidates[i]);
        if (qr__tensors_find(&weights->of.file->tensors, name) != NULL)
            return candidates[i];
    }
    return NULL;
}
