/* cli/bench_queries.c: read whole, cut at newlines. */
#include "cli/bench_queries.h"

#include <stdlib.h>

#define FILE_MAX_BYTES (256u << 20)

static bool is_blank(qr_text line) {
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t')
            return false;
    return true;
}

qr_status qr__queries_read(const char *path, qr__queries *out, qr_error *error) {
    size_t bytes = 0, lines = 1;
    qr_status status = qr_file_read(path, FILE_MAX_BYTES, &out->data, &bytes, error);
    if (status != QR_OK)
        return status;
    for (size_t i = 0; i < bytes; i++)
        lines += out->data[i] == '\n';
    out->items = calloc(lines, sizeof *out->items);
    if (out->items == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for %zu lines", path, lines);
    for (size_t at = 0; at < bytes;) {
        size_t end = at;
        while (end < bytes && out->data[end] != '\n')
            end++;
        qr_text line = {out->data + at, end - at};
        if (line.len > 0 && line.data[line.len - 1] == '\r')
            line.len--;
        if (!is_blank(line))
            out->items[out->len++] = line;
        at = end + 1;
    }
    if (out->len == 0)
        return qr_error_set(error, QR_IO, "%s: has no queries; expected one a line", path);
    return QR_OK;
}

void qr__queries_deinit(qr__queries *queries) {
    if (queries == NULL)
        return;
    free(queries->items);
    free(queries->data);
    *queries = (qr__queries){0};
}
