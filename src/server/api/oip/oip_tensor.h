/* server/api/oip/oip_tensor.h: tensors of a request: what they say of themselves, held against what
 * the body holds.
 *
 *     qr__oip_inputs inputs;
 *     status = qr__oip_inputs_read(call, signature, &inputs);     // names, types, shapes, sizes
 *     const qr__oip_tensor *text = &inputs.of[QR__OIP_FIRST];     // name is NULL: not given
 *     status = qr__oip_tensor_texts(call, text, &texts);          // [text->len], in the arena
 *
 * An element is JSON (`data`, nested as the shape says or flat) or binary, behind the body's JSON:
 * integers in little-endian, a text behind its length in four bytes. Nothing is believed before it
 * has been compared: products of shapes are checked, a tensor has as many elements as its shape
 * says, and binary tensors fill the body's rest to the byte. Faults are BAD_REQUEST, whose place is
 * the tensor. Threads: one call's.
 */
#ifndef QR_SERVER_API_OIP_TENSOR_H
#define QR_SERVER_API_OIP_TENSOR_H

#include "server/api/oip/oip_signature.h"

typedef struct qr__oip_tensor {
    const char *name;   /* static text, as the request called it; NULL: not given */
    size_t value_bytes; /* of an integer; 0: texts */
    size_t shape[QR__OIP_RANK];
    size_t rank;
    size_t len;            /* elements */
    const qr__value *data; /* NULL: it is binary */
    bool nested;           /* `data` holds shape[0] arrays */
    qr_text binary;        /* within the body */
} qr__oip_tensor;

typedef struct qr__oip_inputs {
    qr__oip_tensor of[QR__OIP_ROLES];
} qr__oip_inputs;

/** Reads the member `inputs` of the body. Elements are not looked at yet, only counted; a first
 * dimension of more than the server's most inputs is TOO_MANY. BAD_REQUEST. */
QR_MUST_USE qr_status qr__oip_inputs_read(qr__call *call, const qr__oip_signature *signature,
                                          qr__oip_inputs *out);

/** The elements of a tensor of texts, valid UTF-8, [len] in the exchange's arena. JSON's are
 * borrowed from the call, binary ones from the exchange's body. BAD_REQUEST, NO_MEMORY. */
QR_MUST_USE qr_status qr__oip_tensor_texts(qr__call *call, const qr__oip_tensor *tensor,
                                           const qr_text **out);

/** The elements of a tensor of integers from 0 to `most`, [len] in the exchange's arena. Those that
 * `mask` [len] has a 0 for are 0, whatever stands there; NULL: all count. `must`: what they are,
 * for the error. BAD_REQUEST, NO_MEMORY. */
QR_MUST_USE qr_status qr__oip_tensor_integers(qr__call *call, const qr__oip_tensor *tensor,
                                              const int32_t *mask, const char *must, size_t most,
                                              const int32_t **out);

#endif
