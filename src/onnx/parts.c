/* onnx/parts.c: which files a graph was read from, and how they were then. */
#include <stdio.h>
#include <sys/stat.h>

#include "onnx/reader.h"

qr_status qr__onnx_part_add(qr__onnx_reader *r, const char *name, int fd) {
    struct qr__onnx_file *file = r->file;
    struct stat about;
    char path[QR_PATH_BYTES];
    const char *slash = strrchr(r->graph->path, '/');
    const int before = slash == NULL || name == NULL ? 0 : (int)(slash + 1 - r->graph->path);
    const int length = snprintf(path, sizeof path, "%.*s%s", before, r->graph->path,
                                name == NULL ? r->graph->path : name);
    if (length < 0 || (size_t)length >= sizeof path || fstat(fd, &about) != 0)
        return qr__onnx_refuse(r, name == NULL ? "model" : name, "its file cannot be told of");
    if (file->parts == NULL)
        file->parts = qr__onnx_array(r, 1 + QR_LIMIT_ONNX_FILES, sizeof *file->parts);
    const char *kept = qr_arena_text(&file->arena, qr_text_of(path)).data;
    if (file->parts == NULL || kept == NULL)
        return qr__onnx_no_memory(r);
    file->parts[file->parts_len++] =
        (qr_onnx_part){kept, (size_t)about.st_size, about.st_mtim, about.st_ctim};
    return QR_OK;
}

size_t qr_onnx_parts(const qr_onnx_graph *graph, const qr_onnx_part **parts) {
    *parts = graph->file->parts;
    return graph->file->parts_len;
}
