/* tools/cppcheck.h: what the build defines for every file, for cppcheck (`make lint`).
 *
 * By -D it would look at one way through the preprocessor alone. */
#ifndef TOOLS_CPPCHECK_H
#define TOOLS_CPPCHECK_H

#define QR_VERSION "0"

#endif
