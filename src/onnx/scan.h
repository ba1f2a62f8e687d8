/* onnx/scan.h: the bytes of a file, looked over before anything is made of them. Private to onnx/.
 *
 *     qr__onnx_scan scan = {.path = path, .bytes = bytes, .count = count, .error = error};
 *     if (qr__onnx_scan_model(&scan) != QR_OK) ...
 *     unpack(bytes, count, scan.memory_most);
 */
#ifndef QR_ONNX_SCAN_H
#define QR_ONNX_SCAN_H

#include <onnx.pb-c.h>

#include "base/base.h"

/** A message that the scan is inside of. */
typedef struct qr__onnx_level {
    const ProtobufCMessageDescriptor *message;
    size_t end;    /* where it ends */
    uint64_t seen; /* its fields that may stand in it once, by their places in the descriptor */
} qr__onnx_level;

typedef struct qr__onnx_scan {
    const char *path; /* for messages */
    const uint8_t *bytes;
    size_t count;
    qr_error *error;
    size_t nodes, attributes, names; /* found, of all graphs in the file */
    size_t memory;                   /* bytes that unpacking takes at most, freed ones included */
    size_t memory_most;              /* that it may take */
    size_t at, depth;                /* private */
    qr__onnx_level levels[QR_LIMIT_ONNX_DEPTH];
} qr__onnx_scan;

/** Holds the bytes of a model against protobuf's wire format, the schema and our limits: each
 * varint and each length inside its message, nesting at most QR_LIMIT_ONNX_DEPTH, no groups, no
 * field twice that may stand there once, texts that are texts, counts and memory bounded. It
 * allocates nothing, and its own stack is the levels. QR_BAD_MODEL with the byte and the message.
 * */
QR_MUST_USE qr_status qr__onnx_scan_model(qr__onnx_scan *scan);

#endif
