/* server/api/vectors.h: embedding vectors as clients want them: how many numbers, of what type,
 * written as JSON, base64 or raw bytes.
 *
 *     qr__vectors_check(call, &request->form, NULL);           // while decoding
 *
 *     qr__vectors vectors;
 *     if (!qr__vectors_init(&vectors, x, &request->form))      // while encoding
 *         return;
 *     for (size_t i = 0; i < vectors.len; i++)
 *         qr__vectors_put(&vectors, i, QR__VECTORS_JSON, &x->out);
 *
 * Types as sentence-transformers' quantize_embeddings makes them (6.x, read from its source):
 *
 *     int8, uint8      q = floor((x - min) / step), kept within 0..255; step = (max - min) / 255 of
 *                      each dimension, by the model's ranges; int8 is q - 128
 *     ubinary          a bit a dimension, 1 where x > 0, the first in the highest bit of its byte,
 *                      the last byte filled with zeros
 *     binary           the same bytes less 128, as int8
 *
 * Bytes are little-endian. Threads: one call's.
 */
#ifndef QR_SERVER_API_VECTORS_H
#define QR_SERVER_API_VECTORS_H

#include "server/api/call.h"

/** In the order of QR__VECTOR_TYPES. */
typedef enum qr__vector_type {
    QR__VECTOR_F32,
    QR__VECTOR_F16,
    QR__VECTOR_INT8,
    QR__VECTOR_UINT8,
    QR__VECTOR_BINARY,
    QR__VECTOR_UBINARY
} qr__vector_type;

#define QR__VECTOR_TYPES "f32|f16|int8|uint8|binary|ubinary"

/** What a request asks for. */
typedef struct qr__vector_form {
    size_t dimensions; /* 0: all */
    size_t type;       /* a qr__vector_type */
    bool normalize;
} qr__vector_form;

#define QR__VECTOR_FIELDS(type_, member)                                                           \
    QR__DIMENSIONS("dimensions", type_, member.dimensions),                                        \
        QR__CHOICE("embedding_dtype", type_, member.type, QR__VECTOR_TYPES,                        \
                   "\"f32\", \"f16\", \"int8\", \"uint8\", \"binary\" or \"ubinary\"")

/** Where a dialect's body says what is wanted. */
typedef struct qr__vector_places {
    qr_place dimensions, type;
} qr__vector_places;

/** Whether the model can give this: its vectors are as long as `dimensions`, and it has ranges for
 * int8. `places` NULL: those of QR__VECTOR_FIELDS. The call has its model. BAD_REQUEST. */
QR_MUST_USE qr_status qr__vectors_check(qr__call *call, const qr__vector_form *form,
                                        const qr__vector_places *places);

typedef enum qr__vectors_as {
    QR__VECTORS_JSON,   /* [1,2]: floats, or whole numbers for the types of a byte */
    QR__VECTORS_BASE64, /* of the bytes, with quotes */
    QR__VECTORS_BYTES
} qr__vectors_as;

/** The vectors of an exchange whose jobs have run. */
typedef struct qr__vectors {
    const qr_exchange *exchange;
    const qr__vector_form *form;
    size_t len;                /* vectors */
    size_t dimensions;         /* of each */
    float *floats;             /* [dimensions], of the vector at hand */
    uint8_t *bytes;            /* its bytes in types that are not f32 */
    const float *least, *step; /* [dimensions] for int8 */
} qr__vectors;

/** False: no memory, which exchange->status says. */
QR_MUST_USE bool qr__vectors_init(qr__vectors *vectors, qr_exchange *exchange,
                                  const qr__vector_form *form);

/** Appends one vector. */
void qr__vectors_put(qr__vectors *vectors, size_t index, qr__vectors_as as, qr_buf *out);

/** Appends all of them as a list in JSON. */
void qr__vectors_put_list(qr__vectors *vectors, qr__vectors_as as, qr_buf *out);

/** All of them as raw bytes, one behind the other: the answer's body, content type, and the fields
 * X-Embedding-Shape ("2,384") and X-Embedding-Dtype. */
void qr__vectors_answer(qr__vectors *vectors, qr_exchange *exchange);

/** The least and the greatest value [dimensions] of each dimension over the model's sample texts,
 * whose vectors are cut and normalised as asked. The model has samples. False: no memory. */
QR_MUST_USE bool qr__vector_ranges(const qr_pipeline *model, size_t dimensions, bool normalize,
                                   qr_arena *arena, float **least, float **greatest);

/** How many bytes a vector takes. */
size_t qr__vector_bytes(qr__vector_type type, size_t dimensions);

/** Bytes of a vector in a type other than f32. `least` and `step` are of int8 and uint8 alone. */
void qr__vector_write(qr__vector_type type, const float *vector, size_t dimensions,
                      const float *least, const float *step, uint8_t *out);

#endif
