/* tests/cuda/emulator/gpu_emulated.h: gpu.h's functions for the host: kernels as C++.
 *
 *     g++ -std=c++17 -Isrc -Isrc/engine/cuda/kernels -Itests/cuda/emulator -x c++ -c kernel.cu
 *     emulator::launch("qr_cuda_widen_f16", {tokens, 1, 1}, shared_bytes, args);   // emulator.h
 *
 * Objects with kernels register themselves by name when the program starts, so they are linked as
 * objects, not from a static library. Every function that says "warp" must be reached by all 32
 * lanes on the same line; other uses are reported with kernel, block, thread and line.
 * What it cannot see: every function that says "warp" orders the lanes' shared memory here, on a
 * device warp_sync and block_sync alone do; and order of memory between blocks of a grid.
 * Shared memory is NaN in f16, bf16 and f32 until it is written.
 */
#ifndef QR_TESTS_GPU_EMULATED_H
#define QR_TESTS_GPU_EMULATED_H

#include "emulated_float.h"
#include "emulated_lane.h"
#include "emulator.h"
#include <cmath>

#define QR_DEVICE                           static inline

#define QR_KERNEL(name, args_type, threads) QR_KERNEL_OF(name, args_type, threads)
#define QR_KERNEL_OF(name, args_type, threads)                                                     \
    static void name(const args_type &args);                                                       \
    static const emulator::registration name##_registered{                                         \
        {#name, sizeof(args_type), threads,                                                        \
         [](const void *bytes) { name(*static_cast<const args_type *>(bytes)); }}};                \
    static void name([[maybe_unused]] const args_type &args)

#define threadIdx (emulated::current->thread)
#define blockIdx  (emulated::current->block_index)
#define blockDim  (emulated::current->block_size)
#define gridDim   (emulated::current->grid)

template <class T> T *shared_memory() {
    return reinterpret_cast<T *>(emulated::current->shared);
}

inline void copy16_async(void *shared, const void *global, bool real,
                         emulated::place where = emulated::here()) {
    emulated::copy_start(shared, global, real, where);
}
inline void copy_commit() {
    emulated::copies_commit();
}
/** Until all but the newest N groups of this thread have arrived. */
template <int N> void copy_wait(emulated::place where = emulated::here()) {
    emulated::copies_wait(N, where);
}

/** Warp. Lane i gives the row of 16 bytes i % 8 of matrix i / 8 (x2: lanes 0 to 15). */
inline void ldmatrix_x4(uint32_t (&r)[4], const void *row,
                        emulated::place where = emulated::here()) {
    emulated::meet_matrices<4, false>(r, row, "ldmatrix_x4", where);
}
inline void ldmatrix_x2(uint32_t (&r)[2], const void *row,
                        emulated::place where = emulated::here()) {
    emulated::meet_matrices<2, false>(r, row, "ldmatrix_x2", where);
}
inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void *row,
                              emulated::place where = emulated::here()) {
    emulated::meet_matrices<4, true>(r, row, "ldmatrix_x4_trans", where);
}
inline void ldmatrix_x2_trans(uint32_t (&r)[2], const void *row,
                              emulated::place where = emulated::here()) {
    emulated::meet_matrices<2, true>(r, row, "ldmatrix_x2_trans", where);
}

/** Warp. c += a * b, m16n8k16 with T qr_f16 or qr_bf16. */
template <class T>
void mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
         emulated::place where = emulated::here()) {
    emulated::mma_operands operands = {c, a, b};
    emulated::meet(emulated::multiply<T>, "mma", &operands, where);
}

/** Warp: the value of lane `lane` % 32. */
inline uint32_t shuffle(uint32_t value, int lane, emulated::place where = emulated::here()) {
    emulated::shuffle_operands operands = {value, (uint32_t)lane % emulated::LANES};
    emulated::meet(emulated::exchange, "shuffle", &operands, where);
    return operands.value;
}
inline float shuffle(float value, int lane, emulated::place where = emulated::here()) {
    return emulated::float_of(shuffle(emulated::bits_of(value), lane, where));
}

/** Warp: the value of lane (own ^ mask). */
inline uint32_t shuffle_xor(uint32_t value, int mask, emulated::place where = emulated::here()) {
    return shuffle(value, (int)emulated::current->number ^ mask, where);
}
inline float shuffle_xor(float value, int mask, emulated::place where = emulated::here()) {
    return emulated::float_of(shuffle_xor(emulated::bits_of(value), mask, where));
}

inline void block_sync(emulated::place where = emulated::here()) {
    emulated::meet_block(where);
}
inline void warp_sync(emulated::place where = emulated::here()) {
    emulated::meet_warp(where);
}

inline uint32_t atomic_add(uint32_t *to, uint32_t value) {
    return __atomic_fetch_add(to, value, __ATOMIC_RELAXED);
}
/** A counter of all blocks of a cooperative launch. Who reads it lets the other blocks run. */
inline void add_release(uint32_t *to, uint32_t value) {
    emulated::signal_blocks();
    __atomic_fetch_add(to, value, __ATOMIC_RELEASE);
}
inline uint32_t load_acquire(const uint32_t *from, emulated::place where = emulated::here()) {
    emulated::wait_for_blocks(where);
    return __atomic_load_n(from, __ATOMIC_ACQUIRE);
}

/** Programmatic dependent launch: until the kernel before has ended; and that the one behind may
 * begin, which here it may at any time. */
inline void grid_wait(emulated::place where = emulated::here()) {
    emulated::wait_for_grid(where);
}
inline void grid_release() {}

inline float exp2_fast(float x) {
    return exp2f(x);
}

#endif
