/* engine/model/safetensors_write.c: the header's length, the header, then the tensors without a
 * hole between them. */
#include "engine/model/safetensors_write.h"

#include <stdio.h>

#define ZEROS 16384u /* floats that are written at once where a tensor has no numbers */

static bool tensor_bytes(const qr__tensor_out *tensor, size_t *out) {
    return qr_checked_mul(tensor->rows == 0 ? 1 : tensor->rows, tensor->cols, out) &&
           qr_checked_mul(*out, sizeof(float), out);
}

/* False: sizes do not fit. `out` may have failed: the header is too long. */
static bool write_header(const qr__tensor_out *tensors, size_t count, qr_buf *out, size_t *end) {
    qr_buf_literal(out, "{\"__metadata__\":{\"format\":\"pt\"}"); /* transformers asks for it */
    *end = 0;
    for (size_t i = 0; i < count; i++) {
        const qr__tensor_out *tensor = &tensors[i];
        size_t bytes, begin = *end;
        if (!tensor_bytes(tensor, &bytes) || !qr_checked_add(begin, bytes, end))
            return false;
        qr_buf_byte(out, ',');
        qr_json_text(out, qr_text_of(tensor->name));
        qr_buf_literal(out, ":{\"dtype\":\"F32\",\"shape\":[");
        if (tensor->rows > 0)
            qr_buf_printf(out, "%zu,", tensor->rows);
        qr_buf_printf(out, "%zu],\"data_offsets\":[%zu,%zu]}", tensor->cols, begin, *end);
    }
    qr_buf_byte(out, '}');
    while (out->len % 8 != 0 && !qr_buf_failed(out)) /* the numbers begin on a multiple of 8 */
        qr_buf_byte(out, ' ');
    return true;
}

static qr_status write_numbers(qr__new_dir *dir, int fd, const qr__tensor_out *tensor,
                               qr_error *error) {
    static const float zeros[ZEROS];
    size_t left = 0;
    qr_status status = QR_OK;
    if (!tensor_bytes(tensor, &left))
        return QR_TOO_LARGE; /* the header said so already */
    if (tensor->data != NULL)
        return qr__new_dir_put(dir, fd, tensor->data, left, error);
    while (status == QR_OK && left > 0) {
        size_t piece = qr_min(left, sizeof zeros);
        status = qr__new_dir_put(dir, fd, zeros, piece, error);
        left -= piece;
    }
    return status;
}

qr_status qr__safetensors_write(qr__new_dir *dir, const char *name, const qr__tensor_out *tensors,
                                size_t count, qr_error *error) {
    size_t end = 0;
    int fd;
    qr_buf header;
    qr_buf_init(&header, QR_LIMIT_WEIGHTS_HEADER_BYTES);
    qr_status status = QR_OK;
    if (!write_header(tensors, count, &header, &end) || qr_buf_failed(&header) ||
        end > QR_LIMIT_WEIGHTS_FILE_BYTES - QR_LIMIT_WEIGHTS_HEADER_BYTES - 8)
        status = qr_error_set(error, QR_TOO_LARGE, "%s: %s would be too large to be read again",
                              dir->path, name);
    if (status == QR_OK)
        status = qr__new_dir_begin(dir, name, &fd, error);
    if (status != QR_OK) {
        qr_buf_deinit(&header);
        return status;
    }
    const uint64_t length = header.len; /* little-endian, as the machine is */
    status = qr__new_dir_put(dir, fd, &length, sizeof length, error);
    if (status == QR_OK)
        status = qr__new_dir_put(dir, fd, header.data, header.len, error);
    for (size_t i = 0; status == QR_OK && i < count; i++)
        status = write_numbers(dir, fd, &tensors[i], error);
    qr_status ended = qr__new_dir_end(dir, fd, status == QR_OK ? error : NULL);
    qr_buf_deinit(&header);
    return status == QR_OK ? ended : status;
}
