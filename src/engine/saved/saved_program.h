/* engine/saved/saved_program.h: the file whose code runs, of which a saved plan is. Private to
 * saved/. */
#ifndef QR_ENGINE_SAVED_PROGRAM_H
#define QR_ENGINE_SAVED_PROGRAM_H

#include "base/base.h"

/** Opens the executable, or the shared library when this code lies in one. *fd is the caller's.
 * QR_IO: it cannot be found or read, or another file has taken its place. */
QR_MUST_USE qr_status qr__saved_program_open(int *fd, size_t *bytes, qr_error *error);

#endif
