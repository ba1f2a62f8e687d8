/* engine/model/import.c: a graph and what was recognised in it, as a model's weights. */
#include "engine/model/open_import.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/model/recognise.h"
#include "engine/model/weight_source.h"

qr_status qr__import_open(const char *path, qr_import **out, qr_error *error) {
    qr_onnx_graph *graph = NULL;
    *out = NULL;
    qr_import *import = calloc(1, sizeof *import);
    if (import == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for a model", path);
    qr_status status = qr_onnx_open(path, &graph, error);
    if (status == QR_OK)
        status = qr__recognise(graph, &import->found, error);
    if (status != QR_OK) {
        qr_onnx_close(graph);
        free(import);
        return status;
    }
    *out = import;
    return QR_OK;
}

void qr__import_close(qr_import *import) {
    if (import == NULL)
        return;
    qr__recognised_destroy(import->found);
    free(import);
}

void qr__import_pools_otherwise(qr_import *import) {
    import->pools_otherwise = true;
}

const qr__recognised *qr_import_recognised(const qr_import *import) {
    return import->found;
}

static qr_status check_slot(const qr__weight_source *weights, const qr__bert_slot *slot,
                            qr_error *error) {
    if (qr__recognised_has(weights->of.import->found, slot->name, slot->rows, slot->cols))
        return QR_OK;
    return qr_error_set(error, QR_BAD_MODEL,
                        "%s: what would be tensor `%s` [%zu, %zu] was not found in the graph",
                        weights->path, slot->name, slot->rows, slot->cols);
}

static qr_status read_slot(const qr__weight_source *weights, const qr__bert_slot *slot, float *to,
                           qr_error *error) {
    return qr__recognised_read(weights->of.import->found, slot->name, to, error);
}

static const char *dtype_of(const qr__weight_source *weights, const qr__bert_slot *slot) {
    (void)slot;
    return weights->of.import->found->info.dtype;
}

static size_t count_tensors(const qr__weight_source *weights) {
    (void)weights;
    return 0;
}

static bool is_as_it_was(const struct stat *about, const qr_onnx_part *part) {
    return (uintmax_t)about->st_size == part->bytes &&
           about->st_mtim.tv_sec == part->modified.tv_sec &&
           about->st_mtim.tv_nsec == part->modified.tv_nsec &&
           about->st_ctim.tv_sec == part->changed.tv_sec &&
           about->st_ctim.tv_nsec == part->changed.tv_nsec;
}

/* The files are opened again: the graph holds none open, for what it reads it has read. */
static qr_status write_part(const qr_onnx_part *part, const qr_sink *sink) {
    struct stat about;
    size_t bytes = 0;
    int fd = -1;
    qr_status status = qr_file_open(part->path, part->bytes, &fd, &bytes, NULL);
    if (status != QR_OK)
        return QR_IO;
    if (fstat(fd, &about) != 0 || !is_as_it_was(&about, part))
        status = QR_IO;
    else
        status = qr_sink_write_file(sink, fd, bytes);
    close(fd);
    return status;
}

static qr_status write_files(const qr__weight_source *weights, const qr_sink *sink) {
    const qr_onnx_part *parts;
    const size_t len = qr_onnx_parts(weights->of.import->found->graph, &parts);
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < len; i++)
        status = write_part(&parts[i], sink);
    return status;
}

static bool is_unchanged(const qr__weight_source *weights) {
    const qr_onnx_part *parts;
    const size_t len = qr_onnx_parts(weights->of.import->found->graph, &parts);
    bool unchanged = true;
    for (size_t i = 0; i < len; i++) {
        struct stat about;
        unchanged =
            unchanged && stat(parts[i].path, &about) == 0 && is_as_it_was(&about, &parts[i]);
    }
    return unchanged;
}

static void forget(qr__weight_source *weights) {
    (void)weights; /* borrowed */
}

qr__weight_source qr__weight_source_of_import(const qr_import *import) {
    static const qr__weight_source_kind kind = {
        .check = check_slot,
        .read = read_slot,
        .dtype = dtype_of,
        .tensors = count_tensors,
        .write_files = write_files,
        .unchanged = is_unchanged,
        .close = forget,
    };
    return (qr__weight_source){
        .kind = &kind, .path = import->found->graph->path, .of.import = import};
}
