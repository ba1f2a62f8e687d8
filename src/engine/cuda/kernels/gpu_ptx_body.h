/* engine/cuda/kernels/gpu_ptx_body.h: gpu.h's functions as instructions of the device; only gpu.h
 * includes it.
 *
 *     copy16_async(shared + i, global + i, row < rows);    // 16 bytes, or zeros
 *     copy_commit();
 *     copy_wait<0>();                                      // this thread's copies are there
 *     block_sync();                                        // so are everybody's
 *     ldmatrix_x4(a, address_of_my_row);
 *     mma<qr_f16>(c, a, b);                                // c[16][8] += a[16][16] * b[16][8]
 *
 * Everything is of sm_80 but grid_wait and grid_release, which are nothing below sm_90. Fragments
 * lie as the PTX ISA draws them (9.7.14, matrix multiply-accumulate). Lanes of one warp must call
 * what says "warp" together. No state, so nothing to share between threads.
 */
#ifndef QR_ENGINE_CUDA_GPU_PTX_H
#define QR_ENGINE_CUDA_GPU_PTX_H

#define QR_DEVICE static __device__ __forceinline__
#define QR_KERNEL(name, args_type, threads)                                                        \
    extern "C" __global__ void __launch_bounds__(threads)                                          \
        name(const __grid_constant__ args_type args)

/** The block's dynamic shared memory, aligned to 128 bytes. */
template <class T> QR_DEVICE T *shared_memory() {
    extern __shared__ __align__(128) unsigned char qr_shared[];
    return reinterpret_cast<T *>(qr_shared);
}

/** The number that an element stands for. */
QR_DEVICE float to_float(qr_f16 x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}
QR_DEVICE float to_float(qr_bf16 x) {
    return __uint_as_float((uint32_t)x.bits << 16);
}
QR_DEVICE float to_float(float x) {
    return x;
}

/** The element nearest to a number, ties to even; beyond f16's range infinity. */
template <class T> QR_DEVICE T from_float(float x);
template <> __device__ __forceinline__ qr_f16 from_float<qr_f16>(float x) {
    qr_f16 y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}
template <> __device__ __forceinline__ qr_bf16 from_float<qr_bf16>(float x) {
    qr_bf16 y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}
template <> __device__ __forceinline__ float from_float<float>(float x) {
    return x;
}

/** Two elements in a word, `lo` in its lower half. */
template <class T> QR_DEVICE uint32_t pack2(float lo, float hi);
template <> __device__ __forceinline__ uint32_t pack2<qr_f16>(float lo, float hi) {
    uint32_t y;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(hi), "f"(lo));
    return y;
}
template <> __device__ __forceinline__ uint32_t pack2<qr_bf16>(float lo, float hi) {
    uint32_t y;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(hi), "f"(lo));
    return y;
}

/** A shared address as instructions take it. */
QR_DEVICE uint32_t shared_address(const void *p) {
    return (uint32_t)__cvta_generic_to_shared(p);
}

/** Begins to copy 16 bytes, past L1; zeros where not `real`. Both aligned to 16. */
QR_DEVICE void copy16_async(void *shared, const void *global, bool real) {
    asm volatile(
        "cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
        "l"(__cvta_generic_to_global(global)), "r"(real ? 16 : 0)
        : "memory");
}
/** Ends a group of copies, maybe an empty one. */
QR_DEVICE void copy_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
/** Waits until at most N of this thread's latest groups are under way. */
template <int N> QR_DEVICE void copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/** Warp: 8x8 matrices of 16-bit elements from shared memory; lane 8 * i + r gives row r of the
 * i-th, 16 bytes. */
QR_DEVICE void ldmatrix_x4(uint32_t (&r)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}
/** Warp: the same, transposed. */
QR_DEVICE void ldmatrix_x4_trans(uint32_t (&r)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}

/** Warp: c[16][8] += a[16][16] * b[16][8], sums in f32. */
template <class T>
QR_DEVICE void mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
#define QR_MMA(T, name)                                                                            \
    template <>                                                                                    \
    __device__ __forceinline__ void mma<T>(float(&c)[4], const uint32_t(&a)[4],                    \
                                           const uint32_t(&b)[2]) {                                \
        asm("mma.sync.aligned.m16n8k16.row.col.f32." name "." name ".f32 "                         \
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                      \
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                       \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                   \
    }
QR_MMA(qr_f16, "f16")
QR_MMA(qr_bf16, "bf16")
#undef QR_MMA

/** Warp: what the lane whose number differs in the bits of `mask` has. */
QR_DEVICE float shuffle_xor(float x, int mask) {
    return __shfl_xor_sync(0xffffffffu, x, mask);
}
/** Warp: what `lane` has. */
QR_DEVICE float shuffle(float x, int lane) {
    return __shfl_sync(0xffffffffu, x, lane);
}

/** All threads of the block, or the warp, meet; what they wrote to shared memory is seen. */
QR_DEVICE void block_sync() {
    __syncthreads();
}
QR_DEVICE void warp_sync() {
    __syncwarp();
}

/** Waits until the kernels before are done and what they wrote is seen. Every thread calls it
 * before it reads what they wrote, before it writes, and before it returns. */
QR_DEVICE void grid_wait() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
/** The next kernel may begin, up to its own grid_wait(). */
QR_DEVICE void grid_release() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

/** Adds to a counter of all blocks: whoever reads the sum by load_acquire sees what this thread
 * wrote, and what others of its block wrote before a block_sync() that it has passed. */
QR_DEVICE void add_release(uint32_t *to, uint32_t value) {
    asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(to)),
                 "r"(value)
                 : "memory");
}
QR_DEVICE uint32_t load_acquire(const uint32_t *from) {
    uint32_t y;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
                 : "=r"(y)
                 : "l"(__cvta_generic_to_global(from))
                 : "memory");
    return y;
}

/** 2^x within 2 units in the last place; 2^-infinity is 0. */
QR_DEVICE float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

#endif
