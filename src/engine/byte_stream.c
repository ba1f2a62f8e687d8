/* engine/byte_stream.c: whole files into a sink. */
#include "engine/byte_stream.h"

#include <stdlib.h>

#define PIECE_BYTES (256u << 10) /* stays in L2 between the read and the sink */

qr_status qr_sink_write_file(const qr_sink *sink, int fd, size_t bytes) {
    qr_status status = QR_OK;
    char *piece = malloc(PIECE_BYTES);
    if (piece == NULL)
        return QR_NO_MEMORY;
    for (size_t at = 0; status == QR_OK && at < bytes; at += PIECE_BYTES) {
        size_t len = qr_min(PIECE_BYTES, bytes - at);
        status = qr_file_read_at(fd, at, piece, len);
        if (status == QR_OK)
            status = qr_sink_write(sink, piece, len);
    }
    free(piece);
    return status;
}
