/* tests/cuda/ptx/ptx_traffic.h: how well warps' accesses fit the memories of a GPU: a table of
 * every kernel that ran, at the end of the process, where QR_EMULATOR_PTX_TRAFFIC is set.
 *
 *     QR_EMULATOR_PTX_TRAFFIC=1 QR_EMULATOR_PTX=build/cuda/ptx/querent_cuda.compute_90.ptx
 *         build/tests/cuda/cuda_kernels gemm_f16_16
 *
 * Shared memory has 32 banks of 4 bytes, and gives a word of each at once: 32 lanes of 4 bytes go
 * together, 16 of 8, 8 of 16 (a matrix of ldmatrix). What takes a word of one bank more than once
 * takes as many turns. Global memory is counted in sectors of 32 bytes. "Least" is what the same
 * bytes would need side by side. Lanes run apart here, so an access of a warp is what its lanes do
 * at one instruction for the n-th time.
 */
#ifndef QR_TESTS_PTX_TRAFFIC_H
#define QR_TESTS_PTX_TRAFFIC_H

#include "ptx_program.h"

namespace ptx {

/** Whether anything is counted. */
bool counts_traffic();

/** The current lane accesses so many bytes: an address of shared memory, or a global one. */
void count_access(const op &o, bool is_shared, uint64_t address, uint32_t bytes);

/** A lane from its begin to its end: with the last of a warp its accesses are added up. */
struct counted_lane {
    explicit counted_lane(const program &runs);
    ~counted_lane();
    counted_lane(const counted_lane &) = delete;
    counted_lane &operator=(const counted_lane &) = delete;

  private:
    const program &p;
};

/** Turns of shared memory, or sectors, that so many lanes' accesses need: `mask` says which. */
struct cost {
    uint64_t needed, least;
};
cost shared_cost(const uint64_t address[32], uint32_t mask, uint32_t bytes);
cost global_cost(const uint64_t address[32], uint32_t mask, uint32_t bytes);

} // namespace ptx

#endif
