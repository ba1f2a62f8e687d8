/* engine/cuda/kernels/plain_f32.cu: matrix products and attention in f32, without tensor cores:
 * what the gate measures the fast ones by. Plain before fast. */
#include "engine/cuda/kernels/elements_body.h"

namespace plain_f32 {

constexpr uint32_t THREADS = 128;
constexpr uint32_t TILE = QR_CUDA_GEMM_F32_TILE;         /* tokens of a block, */
constexpr uint32_t COLUMNS = QR_CUDA_GEMM_COLUMNS(TILE); /* and columns, */
constexpr uint32_t DEPTH = 32;                           /* of so much of K at a time */
constexpr uint32_t PITCH = DEPTH + 2;                    /* floats */
constexpr uint32_t TOKENS_EACH = 2, COLUMNS_EACH = 4;    /* of a thread */
constexpr uint32_t SIDE = COLUMNS / COLUMNS_EACH;        /* threads side by side */
static_assert((TILE + COLUMNS) * PITCH * 4 == gemm_f32_shared, "");
static_assert(gemm_f32_threads == THREADS && TILE * COLUMNS == THREADS * TOKENS_EACH * COLUMNS_EACH,
              "");

/* [ROWS][DEPTH] of x from column k of `pitch` to shared memory; zeros behind the `real` rows. */
QR_DEVICE void load_tile(float *to, const float *x, uint32_t pitch, uint32_t rows, uint32_t real) {
    for (uint32_t i = threadIdx.x; i < rows * DEPTH; i += THREADS) {
        const uint32_t row = i / DEPTH, k = i % DEPTH;
        to[row * PITCH + k] = row < real ? x[(size_t)row * pitch + k] : 0.0f;
    }
}

QR_DEVICE void multiply_tile(const float *x, const float *w,
                             float (&sums)[TOKENS_EACH][COLUMNS_EACH]) {
    for (uint32_t k = 0; k < DEPTH; k++) {
        float column[COLUMNS_EACH];
        for (uint32_t c = 0; c < COLUMNS_EACH; c++)
            column[c] = w[c * SIDE * PITCH + k];
        for (uint32_t t = 0; t < TOKENS_EACH; t++) {
            for (uint32_t c = 0; c < COLUMNS_EACH; c++)
                sums[t][c] += x[t * PITCH + k] * column[c];
        }
    }
}

QR_DEVICE void finish(const qr_cuda_gemm_args &args, uint32_t row, uint32_t column, float sum) {
    float *y = static_cast<float *>(args.y);
    if (args.epilogue == QR_CUDA_PARTIAL)
        y[((size_t)blockIdx.z * args.rows + row) * args.n + column] = sum;
    else
        y[(size_t)row * args.n + column] = finished(sum + args.bias[column], args.epilogue);
}

QR_KERNEL(qr_cuda_gemm_f32, qr_cuda_gemm_args, gemm_f32_threads) {
    grid_release();
    grid_wait();
    const uint32_t token = blockIdx.y * TILE, tokens = args.counts->tokens;
    if (token >= tokens)
        return;
    float *x = shared_memory<float>(), *w = x + TILE * PITCH;
    const uint32_t depth = args.depth, first_column = blockIdx.x * COLUMNS;
    const float *from_x = static_cast<const float *>(args.x) + (size_t)token * args.k;
    const float *from_w = static_cast<const float *>(args.w) + (size_t)first_column * args.k;
    const uint32_t my_token = threadIdx.x / SIDE * TOKENS_EACH, my_column = threadIdx.x % SIDE;
    float sums[TOKENS_EACH][COLUMNS_EACH] = {};
    for (uint32_t k = blockIdx.z * depth; k < (blockIdx.z + 1) * depth; k += DEPTH) {
        load_tile(x, from_x + k, args.k, TILE, tokens - token);
        load_tile(w, from_w + k, args.k, COLUMNS, COLUMNS);
        block_sync();
        multiply_tile(x + my_token * PITCH, w + my_column * PITCH, sums);
        block_sync();
    }
    for (uint32_t t = 0; t < TOKENS_EACH && token + my_token + t < tokens; t++) {
        for (uint32_t c = 0; c < COLUMNS_EACH; c++)
            finish(args, token + my_token + t, first_column + my_column + c * SIDE, sums[t][c]);
    }
}

/* Attention: a warp a query at a time; 32 keys at a time, of which a lane has one's score; of the
 * result a lane has every 32nd element. */
constexpr uint32_t HEAD = QR_CUDA_HEAD_MAX, PARTS = HEAD / 32;
static_assert(4 * HEAD * 4 == attention_f32_shared && attention_f32_threads == 128, "a q a warp");

/* The score of a lane's key, -infinity where there is none. */
QR_DEVICE float score(const float *q, const float *k, uint32_t head, bool real) {
    if (!real)
        return -INFINITY;
    float sum = 0;
    for (uint32_t d = 0; d < head; d++)
        sum += q[d] * k[d];
    return sum;
}

/* o += p * v for up to 32 keys, each lane's p its key's */
QR_DEVICE void mix(const float *v, uint32_t pitch, uint32_t keys, uint32_t head, float p,
                   float (&o)[PARTS]) {
    for (uint32_t key = 0; key < keys; key++) {
        const float weight = shuffle(p, (int)key);
        for (uint32_t part = 0; part < PARTS; part++) {
            const uint32_t d = part * 32 + threadIdx.x % 32;
            if (d < head)
                o[part] += weight * v[(size_t)key * pitch + d];
        }
    }
}

/* A query's result to y: q is in shared memory, k and v are those of the sequence's first token. */
QR_DEVICE void attend_query(const qr_cuda_attention_args &args, const float *q, const float *k,
                            const float *v, uint32_t keys, float *y) {
    const uint32_t lane = threadIdx.x % 32;
    float m = -INFINITY, l = 0, o[PARTS] = {};
    for (uint32_t key = 0; key < keys; key += 32) {
        const size_t at = (size_t)key * args.qkv_pitch;
        const float *mine = k + at + (size_t)lane * args.qkv_pitch;
        const float s = score(q, mine, args.head, key + lane < keys);
        const float greatest = fmaxf(m, warp_max(s));
        const float scale = exp2f(m - greatest), p = exp2f(s - greatest);
        m = greatest;
        l = l * scale + warp_sum(p);
        for (uint32_t part = 0; part < PARTS; part++)
            o[part] *= scale;
        mix(v + at, args.qkv_pitch, keys - key < 32 ? keys - key : 32, args.head, p, o);
    }
    for (uint32_t part = 0; part < PARTS; part++) {
        if (part * 32 + lane < args.head)
            y[part * 32 + lane] = o[part] / l;
    }
}

/* The queries of a tile, one after another by each warp; q has the warp's room for one. */
QR_DEVICE void attend_tile(const qr_cuda_attention_args &args, const qr_cuda_tile &tile, float *q) {
    const uint32_t lane = threadIdx.x % 32, width = args.heads * args.head;
    const uint32_t left = tile.end - tile.first,
                   queries = left < QR_CUDA_TILE ? left : QR_CUDA_TILE;
    const float *head = static_cast<const float *>(args.qkv) + blockIdx.y * args.head;
    const float *k = head + (size_t)tile.begin * args.qkv_pitch + width;
    for (uint32_t i = threadIdx.x / 32; i < queries; i += THREADS / 32) {
        const float *from = head + (size_t)(tile.first + i) * args.qkv_pitch;
        float *y = static_cast<float *>(args.y) + (size_t)(tile.first + i) * args.pitch;
        for (uint32_t d = lane; d < args.head; d += 32)
            q[d] = from[d];
        warp_sync();
        attend_query(args, q, k, k + width, tile.end - tile.begin, y + blockIdx.y * args.head);
        if (blockIdx.y + 1 == args.heads) {
            for (uint32_t d = width + lane; d < args.pitch; d += 32)
                y[d] = 0;
        }
        warp_sync(); /* the next query writes over q; shuffles do not promise an order */
    }
}

QR_KERNEL(qr_cuda_attention_f32, qr_cuda_attention_args, attention_f32_threads) {
    grid_release();
    grid_wait();
    float *q = shared_memory<float>() + threadIdx.x / 32 * HEAD;
    for (uint32_t i = blockIdx.x; i < args.counts->tiles; i += gridDim.x)
        attend_tile(args, args.tiles[i], q);
}

} // namespace plain_f32
