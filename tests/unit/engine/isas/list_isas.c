/* build/tests/list_isas: the instruction sets that this machine runs, one a line, and last the one
 * that plans take by themselves (for tests/run-isas and tests/run-aarch64). */
#include <stdio.h>

#include "engine/cpu/target.h"

int main(void) {
    qr__isa own;
    if (qr__target_choose(NULL, &own, NULL) != QR_OK)
        return 1;
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++)
        if (isa != own && qr__isa_available(isa))
            puts(qr__isa_name(isa));
    puts(qr__isa_name(own));
    return 0;
}
