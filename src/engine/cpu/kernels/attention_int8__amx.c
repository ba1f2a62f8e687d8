/* engine/cpu/kernels/attention_int8__amx.c: attention in int8 by tiles. What does not fit them goes
 * to vectors, as on CPUs without AMX: in int8, or in f32 where keys are few (bf16 is no faster
 * there: CPUs with AMX multiply bf16 vectors at half of f32's rate). */
#include "engine/cpu/kernels/attention_int8_tiles_body.h"

#include "engine/cpu/kernels/attention_int8_body.h"

void qr__attention_int8__amx(const qr__attention *a) {
    const bool fits_tiles = a->D <= QR_TILE_BYTES || a->D % QR_TILE_BYTES == 0;
    if (!fits_tiles || !fits_int8(a)) {
        qr__attention_int8__avx512vnni(a);
        return;
    }
    configure(a->D);
    attend_int8(a);
    _tile_release();
}
