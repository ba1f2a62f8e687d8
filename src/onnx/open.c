/* onnx/open.c: from a file's bytes to a graph: scanned, unpacked, checked, read, put in order. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "onnx/reader.h"
#include "onnx/scan.h"

qr_status qr__onnx_refuse(const qr__onnx_reader *r, const char *where, const char *format, ...) {
    char why[512];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return qr_error_set(r->error, QR_BAD_MODEL, "%s: %s: %s", r->graph->path, where, why);
}

qr_status qr__onnx_no_memory(const qr__onnx_reader *r) {
    return qr_error_set(r->error, QR_NO_MEMORY, "%s: no memory for the graph", r->graph->path);
}

void *qr__onnx_array(const qr__onnx_reader *r, size_t count, size_t size) {
    return qr_arena_array(&r->file->arena, count, size);
}

/* What is large gets pages of 2 MiB, where the kernel has such: a fault each of 4 KiB is a third of
 * the time that opening takes. free()d as any. */
static void *allocate(size_t bytes) {
    const size_t huge = (size_t)2 << 20;
    if (bytes < 8 * huge || bytes > SIZE_MAX - huge)
        return malloc(qr_max(bytes, 1));
    const size_t whole = qr_round_up(bytes, huge);
    void *memory = aligned_alloc(huge, whole);
    if (memory != NULL)
        (void)madvise(memory, whole, MADV_HUGEPAGE); /* advice only */
    return memory;
}

/* The second lock on what unpacking takes, should the scan have counted wrongly. What is given back
 * still counts. */
static void *take(void *data, size_t bytes) {
    struct qr__onnx_file *file = data;
    if (bytes > file->most - file->taken)
        return NULL;
    file->taken += bytes;
    void *memory = allocate(bytes);
    file->no_memory = file->no_memory || memory == NULL;
    return memory;
}

static void give(void *data, void *pointer) {
    (void)data;
    free(pointer);
}

static qr_status unpack(qr__onnx_reader *r, const uint8_t *bytes, size_t count) {
    struct qr__onnx_file *file = r->file;
    qr__onnx_scan scan = {
        .path = r->graph->path, .bytes = bytes, .count = count, .error = r->error};
    const qr_status status = qr__onnx_scan_model(&scan);
    if (status != QR_OK)
        return status;
    file->allocator = (ProtobufCAllocator){take, give, file};
    file->most = scan.memory_most;
    file->model = onnx__model_proto__unpack(&file->allocator, count, bytes);
    if (file->model != NULL)
        return QR_OK;
    return file->no_memory
               ? qr__onnx_no_memory(r)
               : qr_error_set(r->error, QR_BAD_MODEL,
                              "%s: it cannot be unpacked as an ONNX model (is it whole?)",
                              r->graph->path);
}

/* The version of ONNX's own operators that the nodes were written for. */
static qr_status read_opset(const qr__onnx_reader *r, const Onnx__ModelProto *model) {
    bool found = false;
    for (size_t i = 0; i < model->n_opset_import; i++) {
        if (qr__onnx_domain(model->opset_import[i]->domain)[0] != '\0')
            continue;
        if (found)
            return qr__onnx_refuse(r, "opset_import", "it has two versions of ONNX's operators");
        found = true;
        r->graph->opset = model->opset_import[i]->version;
    }
    const int64_t opset = r->graph->opset;
    if (!found)
        return qr__onnx_refuse(r, "opset_import", "it has no version of ONNX's operators");
    if (opset < QR__ONNX_OPSET_OLDEST)
        return qr__onnx_refuse(
            r, "opset_import",
            "operators of version %jd meant other things; %d and later are read (convert it with "
            "onnx.version_converter, or export it again)",
            (intmax_t)opset, QR__ONNX_OPSET_OLDEST);
    if (opset > QR__ONNX_OPSET_NEWEST)
        return qr__onnx_refuse(
            r, "opset_import",
            "operators of version %jd are newer than this program, which knows what they mean up "
            "to %d (export with an older opset)",
            (intmax_t)opset, QR__ONNX_OPSET_NEWEST);
    return QR_OK;
}

static qr_status read_model(qr__onnx_reader *r) {
    const Onnx__ModelProto *model = r->file->model;
    qr_onnx_graph *graph = r->graph;
    if (model->ir_version < 3)
        return qr__onnx_refuse(r, "ir_version", "%jd is none of ONNX's (is it an ONNX file?)",
                               (intmax_t)model->ir_version);
    if (model->graph == NULL)
        return qr__onnx_refuse(r, "model", "it has no graph");
    graph->producer = qr__onnx_text(model->producer_name);
    graph->producer_version = qr__onnx_text(model->producer_version);
    graph->name = qr__onnx_text(model->graph->name);
    graph->ir_version = model->ir_version;
    qr_status status = read_opset(r, model);
    if (status == QR_OK)
        status = qr__onnx_graph_read(r);
    return status == QR_OK ? qr__onnx_nodes_order(r) : status;
}

static qr_onnx_graph *create_graph(const char *path) {
    qr_onnx_graph *graph = calloc(1, sizeof *graph);
    struct qr__onnx_file *file = calloc(1, sizeof *file);
    if (graph == NULL || file == NULL) {
        free(graph);
        free(file);
        return NULL;
    }
    graph->file = file;
    qr_arena_init(&file->arena, QR_LIMIT_ONNX_UNPACK_BYTES);
    graph->path = qr_arena_text(&file->arena, qr_text_of(path)).data;
    if (graph->path != NULL)
        return graph;
    qr_onnx_close(graph);
    return NULL;
}

/* fd: of the file that the bytes are of; -1: of none. */
static qr_status open_bytes(const char *path, int fd, const uint8_t *bytes, size_t count,
                            qr_onnx_graph **out, qr_error *error) {
    qr_onnx_graph *graph = create_graph(path);
    *out = NULL;
    if (graph == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the graph", path);
    qr__onnx_reader r = {
        .graph = graph, .file = graph->file, .error = error, .dir_fd = -1, .fd = -1};
    qr_status status = fd < 0 ? QR_OK : qr__onnx_part_add(&r, NULL, fd);
    if (status == QR_OK)
        status = unpack(&r, bytes, count);
    if (status == QR_OK)
        status = read_model(&r);
    qr__onnx_external_close(&r);
    if (status == QR_OK)
        *out = graph;
    else
        qr_onnx_close(graph);
    return status;
}

qr_status qr__onnx_open_bytes(const char *path, const uint8_t *bytes, size_t count,
                              qr_onnx_graph **out, qr_error *error) {
    return open_bytes(path, -1, bytes, count, out, error);
}

/* The file's bytes are dropped once they are unpacked: what is kept is copied then. */
qr_status qr_onnx_open(const char *path, qr_onnx_graph **out, qr_error *error) {
    int fd = -1;
    size_t count = 0;
    *out = NULL;
    qr_status status = qr_file_open(path, QR_LIMIT_ONNX_FILE_BYTES, &fd, &count, error);
    if (status != QR_OK)
        return status;
    uint8_t *bytes = allocate(count);
    if (bytes == NULL)
        status = qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the graph", path);
    else if (qr_file_read_at(fd, 0, bytes, count) != QR_OK)
        status =
            qr_error_set(error, QR_IO, "%s: could not be read whole (truncated meanwhile?)", path);
    else
        status = open_bytes(path, fd, bytes, count, out, error);
    free(bytes);
    close(fd);
    return status;
}

void qr_onnx_close(qr_onnx_graph *graph) {
    if (graph == NULL)
        return;
    for (size_t i = 0; i < graph->value_count; i++)
        qr_onnx_tensor_destroy(graph->values[i].constant);
    for (size_t i = 0; i < graph->node_count; i++)
        for (size_t a = 0; a < graph->nodes[i].attribute_count; a++)
            qr_onnx_tensor_destroy(graph->nodes[i].attributes[a].t);
    if (graph->file->model != NULL)
        onnx__model_proto__free_unpacked(graph->file->model, &graph->file->allocator);
    qr_arena_deinit(&graph->file->arena);
    free(graph->file);
    free(graph);
}
