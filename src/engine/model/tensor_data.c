/* engine/model/tensor_data.c: reading, widening and checking weights in one pass, a cache-sized
 * piece at a time.
 *
 * Plain loops that compilers vectorise: the exponent test is an OR over all numbers, never a
 * branch. Files are little-endian, as is every machine that querent runs on.
 */
#include "engine/model/tensor_data.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data are little-endian");

#define PIECE 32768 /* numbers read at once: 128 KiB of f32 stay in L2 for the check */

bool qr__f32_check(const float *in, size_t count) {
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &in[i], sizeof bits);
        bad |= (uint32_t)((bits & 0x7f800000u) == 0x7f800000u);
    }
    return bad == 0;
}

/* The exponent is moved as an integer and its bias corrected by one exact multiplication,
 * which also makes subnormals right. */
bool qr__f16_to_f32(const uint16_t *in, size_t count, float *out) {
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t half = in[i];
        uint32_t bits = (half & 0x7fffu) << 13;
        bad |= (uint32_t)((half & 0x7c00u) == 0x7c00u);
        float number; /* still with f16's exponent bias: 2^112 corrects it, exactly, for subnormals
                         too */
        memcpy(&number, &bits, sizeof number);
        number *= 0x1p112f;
        memcpy(&bits, &number, sizeof bits);
        bits |= (half & 0x8000u) << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
    return bad == 0;
}

bool qr__bf16_to_f32(const uint16_t *in, size_t count, float *out) {
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)in[i] << 16;
        bad |= (uint32_t)((bits & 0x7f800000u) == 0x7f800000u);
        memcpy(&out[i], &bits, sizeof bits);
    }
    return bad == 0;
}

static qr_status read_f32(int fd, size_t at, size_t count, float *out, bool *finite) {
    qr_status status = qr_file_read_at(fd, at, out, count * sizeof *out);
    *finite = status == QR_OK && qr__f32_check(out, count);
    return status;
}

static qr_status read_16(int fd, size_t at, size_t count, qr__dtype dtype, float *out,
                         bool *finite) {
    uint16_t piece[PIECE];
    qr_status status = qr_file_read_at(fd, at, piece, count * sizeof *piece);
    *finite = status == QR_OK && (dtype == QR__F16 ? qr__f16_to_f32(piece, count, out)
                                                   : qr__bf16_to_f32(piece, count, out));
    return status;
}

/* A piece at a time, so that widening and checking find it in the cache. */
qr_status qr__tensor_read(int fd, size_t data_at, const qr__tensor *tensor, float *out,
                          bool *finite) {
    size_t element_bytes = tensor->dtype == QR__F32 ? 4 : 2;
    size_t elements = tensor->bytes / element_bytes;
    qr_status status = QR_OK;
    *finite = true;
    for (size_t i = 0; status == QR_OK && *finite && i < elements; i += PIECE) {
        size_t count = qr_min(PIECE, elements - i);
        size_t at = data_at + tensor->begin + i * element_bytes;
        status = tensor->dtype == QR__F32 ? read_f32(fd, at, count, out + i, finite)
                                          : read_16(fd, at, count, tensor->dtype, out + i, finite);
    }
    return status;
}
