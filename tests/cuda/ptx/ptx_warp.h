/* tests/cuda/ptx/ptx_warp.h: instructions of PTX that a warp does together.
 *
 *     shuffle(slots, o, exchange_bfly, {file, line});      // returns when all 32 lanes were there
 *
 * Lanes meet by the emulator (emulated_lane.h); what they do then was written from the PTX ISA:
 * "shfl.sync", "ldmatrix", and "Matrix Fragments for mma.m16n8k16 with floating point type".
 */
#ifndef QR_TESTS_PTX_WARP_H
#define QR_TESTS_PTX_WARP_H

#include "emulated_lane.h"
#include "ptx_program.h"

namespace ptx {

using emulated::place;

/** A fault where the mask does not have all lanes: our kernels have no other. */
void all_of_warp(uint32_t mask, place where);

/** Operands: written, whether the source was in range, value, lane or mask, clamp and segments, and
 * the members. */
void shuffle(uint32_t *slots, const op &o, emulated::collective exchange, place where);
void exchange_bfly(void *const operands[emulated::LANES]);
void exchange_idx(void *const operands[emulated::LANES]);

/** The lane's row of 16 bytes is read when the lane comes, the four matrices are dealt when all
 * have: what another lane writes between is seen only behind a bar. */
void load_matrices(uint32_t *slots, const op &o, const void *row, emulated::collective deal,
                   place where);
void deal_matrices(void *const operands[emulated::LANES]);
void deal_transposed(void *const operands[emulated::LANES]);

/** list: the slots of d[4], a[4], b[2], c[4]. */
void multiply(uint32_t *slots, const uint16_t *list, emulated::collective product, place where);
void multiply_f16(void *const operands[emulated::LANES]);
void multiply_bf16(void *const operands[emulated::LANES]);

} // namespace ptx

#endif
