/* build/tests/list_isas: the instruction sets that this machine runs, one a line (for
 * tests/run-isas). */
#include <stdio.h>

#include "engine/cpu/kernels/isa.h"

int main(void) {
    for (qr_isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++)
        if (qr_isa_available(isa))
            puts(qr_isa_name(isa));
    return 0;
}
