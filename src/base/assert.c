/* base/assert.c: the end of a program whose state makes no sense. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void qr__assert_failed(const char *file, int line, const char *condition) {
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
    abort();
}
