/* build/tests/list_isas: the instruction sets that this machine runs, one a line (for
 * tests/run-isas). */
#include <stdio.h>

#include "engine/cpu/kernels/isa.h"

int main(void) {
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++)
        if (qr__isa_available(isa))
            puts(qr__isa_name(isa));
    return 0;
}
