/* server/api/base64.h: RFC 4648's alphabet, with padding. */
#ifndef QR_SERVER_API_BASE64_H
#define QR_SERVER_API_BASE64_H

#include "base/base.h"

/** Appends `bytes` as base64. */
void qr__base64_put(qr_buf *out, const void *bytes, size_t len);

#endif
