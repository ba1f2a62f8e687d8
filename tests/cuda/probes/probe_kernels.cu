/* tests/cuda/probes/probe_kernels.cu: what the emulator must run rightly, and what it must find. */
#include "gpu.h"
#include "probe_kernels.h"

/* --- layouts --- */

/* Shared memory as it comes in, then to[32][4]: this lane's registers. a: 0 to 3, the variant; b:
 * bytes between rows. Matrix m of four: rows 8 m to 8 m + 7. */
QR_KERNEL(probe_ldmatrix, probe_args, 32) {
    uint16_t *s = shared_memory<uint16_t>();
    const uint16_t *from = (const uint16_t *)args.from;
    for (uint32_t i = threadIdx.x; i < 32 * args.b / 2; i += 32)
        s[i] = from[i];
    warp_sync();
    uint32_t r[4] = {~0u, ~0u, ~0u, ~0u}, two[2] = {~0u, ~0u};
    const void *row = s + threadIdx.x * args.b / 2;
    const void *row_of_16 = s + threadIdx.x % 16 * args.b / 2;
    if (args.a == 0)
        ldmatrix_x4(r, row);
    else if (args.a == 1)
        ldmatrix_x4_trans(r, row);
    else if (args.a == 2)
        ldmatrix_x2(two, row_of_16);
    else
        ldmatrix_x2_trans(two, row_of_16);
    uint32_t *to = (uint32_t *)args.to + threadIdx.x * 4;
    for (int i = 0; i < 4; i++)
        to[i] = args.a < 2 ? r[i] : i < 2 ? two[i] : ~0u;
}

/* Rows of other lanes, written just before; a: with warp_sync. */
QR_KERNEL(probe_written_rows, probe_args, 32) {
    uint32_t *s = shared_memory<uint32_t>(), r[4];
    for (uint32_t i = 0; i < 4; i++) // a piece of each of four rows
        s[(threadIdx.x / 4 * 4 + i) * 4 + threadIdx.x % 4] = 1;
    if (args.a)
        warp_sync();
    ldmatrix_x4(r, s + threadIdx.x * 4);
    ((uint32_t *)args.to)[threadIdx.x] = r[0] + r[1] + r[2] + r[3];
}

struct fragments {
    uint32_t a[4], b[2];
    float c[4];
};
QR_KERNEL(probe_mma_f16, probe_args, 32) {
    fragments &f = ((fragments *)args.to)[threadIdx.x];
    mma<qr_f16>(f.c, f.a, f.b);
}
QR_KERNEL(probe_mma_bf16, probe_args, 32) {
    fragments &f = ((fragments *)args.to)[threadIdx.x];
    mma<qr_bf16>(f.c, f.a, f.b);
}

/* to[lane][3]: xor by a, from lane a + own, and the float of it. */
QR_KERNEL(probe_shuffle, probe_args, 32) {
    uint32_t *to = (uint32_t *)args.to + threadIdx.x * 3;
    to[0] = shuffle_xor(threadIdx.x + 100, (int)args.a);
    to[1] = shuffle(threadIdx.x + 200, (int)(args.a + threadIdx.x));
    to[2] = (uint32_t)shuffle_xor((float)threadIdx.x + 0.5f, (int)args.a);
}

/* --- barriers: a of them --- */

/* to[i] = 127 - i by way of shared memory; a 0: without the barrier. */
QR_KERNEL(probe_reverse, probe_args, PROBE_THREADS) {
    uint32_t *s = shared_memory<uint32_t>();
    s[threadIdx.x] = threadIdx.x;
    if (args.a)
        block_sync({"probes/reverse", 7}); // a place that a test knows
    ((uint32_t *)args.to)[threadIdx.x] = s[blockDim.x - 1 - threadIdx.x];
}

/* Rounds of write, barrier, read; a 0: without the barrier between read and the next write. */
QR_KERNEL(probe_rounds, probe_args, PROBE_THREADS) {
    uint32_t *s = shared_memory<uint32_t>(), sum = 0;
    for (uint32_t round = 0; round < 4; round++) {
        s[threadIdx.x] = round * 1000 + threadIdx.x;
        block_sync();
        sum += s[(threadIdx.x + 33) % blockDim.x];
        if (args.a)
            block_sync();
    }
    ((uint32_t *)args.to)[threadIdx.x] = sum;
}

/* The same within a warp. */
QR_KERNEL(probe_warp, probe_args, 32) {
    uint32_t *s = shared_memory<uint32_t>();
    s[threadIdx.x] = threadIdx.x;
    if (args.a)
        warp_sync();
    ((uint32_t *)args.to)[threadIdx.x] = s[31 - threadIdx.x];
}

/* The order in which blocks and threads come here. */
QR_KERNEL(probe_order, probe_args, PROBE_THREADS) {
    uint32_t *next = (uint32_t *)args.to;
    next[1 + atomic_add(next, 1)] = blockIdx.x * blockDim.x + threadIdx.x;
}

/* Each block writes its word in turn a of the rounds, meets the others at the first word of `from`,
 * and adds what its neighbour wrote there; b: how many words short of all it waits for. */
QR_KERNEL(probe_meeting, probe_args, PROBE_THREADS) {
    uint32_t *to = (uint32_t *)args.to, *arrived = (uint32_t *)args.from;
    for (uint32_t round = 1; round <= args.a; round++) {
        if (threadIdx.x == 5)
            to[gridDim.x * round + blockIdx.x] = round * 100 + blockIdx.x;
        block_sync();
        if (threadIdx.x == 0) {
            add_release(arrived, 1);
            while (load_acquire(arrived) + args.b < round * gridDim.x) {
            }
        }
        block_sync();
        if (threadIdx.x == 9)
            to[blockIdx.x] += to[gridDim.x * round + (blockIdx.x + 1) % gridDim.x];
    }
}

/* to[..] = its index in the whole grid. */
QR_KERNEL(probe_index, probe_args, PROBE_THREADS) {
    uint32_t b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    uint32_t i = b * blockDim.x + threadIdx.x;
    ((uint32_t *)args.to)[i] += i + 1;
}

/* --- copies --- */

/* Two groups of 16 bytes a thread; the second is awaited or not (a), and read by its own thread or
 * another (b). */
QR_KERNEL(probe_copies, probe_args, PROBE_THREADS) {
    float *s = shared_memory<float>();
    const float *from = (const float *)args.from;
    uint32_t t = threadIdx.x, second = blockDim.x * 4;
    copy16_async(s + t * 4, from + t * 4, true);
    copy_commit();
    copy16_async(s + second + t * 4, from + second + t * 4, t % 2 == 0);
    copy_commit();
    if (args.a)
        copy_wait<0>();
    else
        copy_wait<1>();
    uint32_t reads = args.b ? (t + 64) % blockDim.x : t;
    if (args.b == 2)
        block_sync();
    float *to = (float *)args.to + t * 2;
    to[0] = s[reads * 4];
    to[1] = s[second + reads * 4];
    copy_wait<0>();
}

/* Faults of copies, by a. */
QR_KERNEL(probe_bad_copy, probe_args, 32) {
    unsigned char *s = shared_memory<unsigned char>();
    const unsigned char *from = (const unsigned char *)args.from;
    if (args.a == 0)
        copy16_async(s + 8, from, true);
    else if (args.a == 1)
        copy16_async(s, from + 4, true);
    else if (args.a == 2)
        copy16_async(s + (int32_t)args.b, from, true);
    else if (args.a == 3)
        copy16_async(s, from, true); // and never awaited
    if (args.a < 3)
        copy_commit();
    copy_wait<0>();
}

/* --- memory --- */

QR_KERNEL(probe_uninitialised, probe_args, 32) {
    float *to = (float *)args.to + threadIdx.x * 3;
    to[0] = shared_memory<float>()[threadIdx.x];
    to[1] = to_float(shared_memory<qr_f16>()[threadIdx.x]);
    to[2] = to_float(shared_memory<qr_bf16>()[threadIdx.x]);
}

QR_KERNEL(probe_touch, probe_args, 32) {
    volatile unsigned char *s = shared_memory<unsigned char>();
    ptrdiff_t offset = (ptrdiff_t)(int32_t)args.b;
    if (args.a == 0)
        s[offset] = 1;
    else
        ((volatile unsigned char *)args.to)[offset] = 1;
}

static uint32_t deep(uint32_t depth) {
    volatile uint32_t waste[1024];
    waste[depth % 1024] = depth;
    return depth ? deep(depth - 1) + waste[depth % 1024] : 0;
}
QR_KERNEL(probe_deep, probe_args, 32) {
    *(uint32_t *)args.to = deep(args.a);
}

struct alignas(16) vector16 {
    uint32_t word[4];
};
/* What only the device, or only the compiler, minds. */
QR_KERNEL(probe_undefined, probe_args, 32) {
    auto *to = (uint32_t *)args.to;
    uint32_t four[4] = {0, 1, 2, 3};
    if (args.a == 0)
        to[0] = ((const vector16 *)(to + args.b))->word[1];
    else if (args.a == 1)
        to[0] = four[args.b];
    else
        to[0] = 1u << args.b;
}

QR_KERNEL(probe_unset, probe_args, 32) {
    float sum[4];
    if (args.a)
        for (float &x : sum)
            x = 0;
    ((float *)args.to)[threadIdx.x] = sum[args.b];
}

QR_KERNEL(probe_bad_ldmatrix, probe_args, 32) {
    uint32_t r[4];
    ldmatrix_x4(r, shared_memory<unsigned char>() + threadIdx.x * 16 + args.b);
}

/* --- threads that do not come --- */

QR_KERNEL(probe_returns, probe_args, PROBE_THREADS) {
    if (threadIdx.x == args.a)
        return;
    if (args.b)
        block_sync();
    else
        warp_sync();
}

QR_KERNEL(probe_half, probe_args, 32) {
    if (threadIdx.x < 16)
        warp_sync();
    block_sync();
}

QR_KERNEL(probe_other_call, probe_args, 32) {
    if (threadIdx.x < 16)
        warp_sync();
    else
        shuffle_xor(threadIdx.x, 1);
}

QR_KERNEL(probe_other_on_a_line, probe_args, 32) {
    threadIdx.x < 16 ? warp_sync() : (void)shuffle_xor(threadIdx.x, 1);
}

QR_KERNEL(probe_other_line, probe_args, PROBE_THREADS) {
    if (args.a) {
        if (threadIdx.x < 64)
            block_sync();
        else
            block_sync();
    } else {
        if (threadIdx.x < 16)
            warp_sync();
        else
            warp_sync();
    }
}

/* --- kernels that follow each other --- */

/* to[i] = from[i] + a for the first 1024; b bits: 1 waits, 2 releases first. */
QR_KERNEL(probe_chain, probe_args, PROBE_THREADS) {
    if (args.b & 2)
        grid_release();
    if (args.b & 1)
        grid_wait();
    uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
    ((uint32_t *)args.to)[i] = ((const uint32_t *)args.from)[i] + args.a;
    if (!(args.b & 1)) // too late, but it is a call
        grid_wait();
}

/* Never waits. */
QR_KERNEL(probe_no_wait, probe_args, PROBE_THREADS) {
    if (blockIdx.x == 0xffffffff)
        grid_wait();
}
