/* engine/cuda/module/gpu_upload.c: converting weights and sending them. */
#include "engine/cuda/module/gpu_upload.h"

#include <math.h>
#include <stdlib.h>

#include "engine/cuda/module/gpu_wait.h"

/* Larger than any row (QR_LIMIT_FEED_FORWARD floats), small enough to be pinned anywhere. */
#define BUFFER_BYTES ((size_t)4 << 20)

struct qr__gpu_upload {
    const qr__gpu *gpu;
    qr__cu_stream stream;
    char *buffer;      /* pinned */
    size_t used;       /* of it, for: */
    qr__cu_pointer to; /* of the buffer's first byte */
    qr_precision precision;
    qr__cu_result result; /* of the first call that failed */
};

size_t qr__gpu_element_bytes(qr_precision precision) {
    return precision == QR_PRECISION_F32 ? sizeof(float) : sizeof(uint16_t);
}

/* These take numbers in loops that compilers turn into vectors: no branches. Weights are finite;
 * only they come here. */
static uint16_t f16_of(float number) {
    float magnitude = fabsf(number), tiny = magnitude + 0.5f; /* of -0 too */
    uint32_t bits, low, sign;
    memcpy(&sign, &number, sizeof sign);
    memcpy(&bits, &magnitude, sizeof bits);
    memcpy(&low, &tiny, sizeof low); /* below 2^-14: rounded to steps of 2^-24, those of 0.5 */
    uint32_t normal = (bits + 0xfff + (bits >> 13 & 1) - 0x38000000) >> 13;
    uint32_t half = magnitude < 0x1p-14f ? low - 0x3f000000 : normal;
    return (uint16_t)((sign >> 16 & 0x8000) | (bits >= 0x477ff000 ? 0x7bff : half));
}

static uint16_t bf16_of(float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void qr__gpu_elements(qr_precision precision, const float *from, size_t n, float scale, void *to) {
    uint16_t *halves = to;
    float *floats = to;
    if (precision == QR_PRECISION_F16)
        for (size_t i = 0; i < n; i++)
            halves[i] = f16_of(from[i] * scale);
    else if (precision == QR_PRECISION_BF16)
        for (size_t i = 0; i < n; i++)
            halves[i] = bf16_of(from[i] * scale);
    else
        for (size_t i = 0; i < n; i++)
            floats[i] = from[i] * scale;
}

void qr__gpu_row_write(qr_precision precision, const qr__gpu_row *row, void *to) {
    size_t bytes = qr__gpu_element_bytes(precision);
    memset(to, 0, row->pitch * bytes);
    for (size_t i = 0; i < row->pieces && row->numbers != NULL; i++)
        qr__gpu_elements(precision, row->numbers + i * row->piece, row->piece, row->scale,
                         (char *)to + i * row->padded * bytes);
}

qr_status qr__gpu_upload_create(const qr__gpu *gpu, qr__gpu_upload **out, qr_error *error) {
    *out = NULL;
    qr__gpu_upload *upload = calloc(1, sizeof *upload);
    if (upload == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for an upload");
    upload->gpu = gpu;
    void *buffer = NULL;
    int result = gpu->driver.host_alloc(&buffer, BUFFER_BYTES, QR__CU_HOST_DEVICE_MAP);
    upload->buffer = result == QR__CU_OK ? buffer : NULL;
    if (result == QR__CU_OK)
        result = gpu->driver.stream_create(&upload->stream, QR__CU_STREAM_NON_BLOCKING);
    if (result != QR__CU_OK) {
        upload->stream = NULL;
        upload->result = result;
        qr_status status = qr__gpu_upload_finish(upload, error);
        return status == QR_OK ? QR_INTERNAL : status;
    }
    *out = upload;
    return QR_OK;
}

static void keep(qr__gpu_upload *upload, qr__cu_result result) {
    if (upload->result == QR__CU_OK)
        upload->result = result;
}

/* Sends what is in the buffer and waits: the buffer is used again. */
static void flush(qr__gpu_upload *upload) {
    const qr__driver *driver = &upload->gpu->driver;
    if (upload->used > 0 && upload->result == QR__CU_OK)
        keep(upload, driver->copy_in(upload->to, upload->buffer, upload->used, upload->stream));
    if (upload->used > 0 && upload->result == QR__CU_OK)
        keep(upload, qr__gpu_wait(upload->gpu, upload->stream, 0));
    upload->to += upload->used;
    upload->used = 0;
}

void qr__gpu_upload_at(qr__gpu_upload *upload, qr__cu_pointer to, qr_precision precision) {
    flush(upload);
    upload->to = to;
    upload->precision = precision;
}

void qr__gpu_upload_row(qr__gpu_upload *upload, const qr__gpu_row *row) {
    size_t bytes = row->pitch * qr__gpu_element_bytes(upload->precision);
    if (upload->used + bytes > BUFFER_BYTES)
        flush(upload);
    qr__gpu_row_write(upload->precision, row, upload->buffer + upload->used);
    upload->used += bytes;
}

qr_status qr__gpu_upload_finish(qr__gpu_upload *upload, qr_error *error) {
    if (upload == NULL)
        return QR_OK;
    flush(upload);
    const qr__gpu *gpu = upload->gpu;
    qr__cu_result result = upload->result;
    bool leave = qr__gpu_is_hung(gpu); /* a copy may still read the buffer */
    if (upload->stream != NULL && !leave)
        (void)gpu->driver.stream_destroy(upload->stream);
    if (upload->buffer != NULL && !leave)
        (void)gpu->driver.host_free(upload->buffer);
    free(upload);
    return result == QR__CU_OK ? QR_OK : qr__gpu_fault(gpu, result, "sending weights", error);
}
