/* tests/cuda/ptx/ptx_instructions.h: the instructions of PTX that nvcc makes of our kernels.
 *
 *     #define NAME(name, text, form, statement) name,
 *     enum code { PTX_INSTRUCTIONS(NAME) };
 *
 * Each: a name, its text, its operands, what it does. Operands: what is written, "=", what is read.
 *
 *     p h w l   a register of 1, 16, 32 or 64 bits, or where it is read a number or symbol
 *     [         an address in brackets      L   a label           i   a number, which is op::offset
 *     2 4       so many registers of 32 bits in braces            w|p   two registers
 *     0 c       the number 0; the number 16
 *
 * In statements W, S, F, H, L(a) is an operand (d, then a, b, c, e) as unsigned, signed, float,
 * 16-bit and 64-bit number; helpers stand in ptx_arithmetic.h, ptx_warp.h and ptx_lane.cpp. Loads
 * and stores are made from their parts (ptx_kernel.cpp). Float operations without ".rn" round as
 * with it; what ptxas may fuse is not fused here.
 */
#ifndef QR_TESTS_PTX_INSTRUCTIONS_H
#define QR_TESTS_PTX_INSTRUCTIONS_H

/* clang-format off */
#define PTX_INSTRUCTIONS(X)                                                                        \
    X(mov_pred, "mov.pred", "p=p", W(d) = W(a))                                                    \
    X(mov_u16, "mov.u16", "h=h", W(d) = W(a))                                                      \
    X(mov_b16, "mov.b16", "h=h", W(d) = W(a))                                                      \
    X(mov_u32, "mov.u32", "w=w", W(d) = W(a))                                                      \
    X(mov_b32, "mov.b32", "w=w", W(d) = W(a))                                                      \
    X(mov_f32, "mov.f32", "w=w", W(d) = W(a))                                                      \
    X(mov_u64, "mov.u64", "l=l", L(d) = L(a))                                                      \
    X(mov_b64, "mov.b64", "l=l", L(d) = L(a))                                                      \
    X(cvta_to_global, "cvta.to.global.u64", "l=l", L(d) = L(a))                                    \
    X(add_s16, "add.s16", "h=hh", H(d) = H(a) + H(b))                                              \
    X(add_s32, "add.s32", "w=ww", W(d) = W(a) + W(b))                                              \
    X(add_s64, "add.s64", "l=ll", L(d) = L(a) + L(b))                                              \
    X(sub_s16, "sub.s16", "h=hh", H(d) = H(a) - H(b))                                              \
    X(sub_s32, "sub.s32", "w=ww", W(d) = W(a) - W(b))                                              \
    X(sub_s64, "sub.s64", "l=ll", L(d) = L(a) - L(b))                                              \
    X(mul_lo_s16, "mul.lo.s16", "h=hh", H(d) = (uint32_t)H(a) * H(b))                              \
    X(mul_lo_s32, "mul.lo.s32", "w=ww", W(d) = W(a) * W(b))                                        \
    X(mul_lo_s64, "mul.lo.s64", "l=ll", L(d) = L(a) * L(b))                                        \
    X(mul_wide_u16, "mul.wide.u16", "w=hh", W(d) = (uint32_t)H(a) * H(b))                          \
    X(mul_wide_u32, "mul.wide.u32", "l=ww", L(d) = (uint64_t)W(a) * W(b))                          \
    X(mul_wide_s32, "mul.wide.s32", "l=ww", L(d) = (uint64_t)((int64_t)S(a) * S(b)))               \
    X(mul_hi_u32, "mul.hi.u32", "w=ww", W(d) = (uint32_t)((uint64_t)W(a) * W(b) >> 32))            \
    X(mad_lo_s32, "mad.lo.s32", "w=www", W(d) = W(a) * W(b) + W(c))                                \
    X(div_u32, "div.u32", "w=ww", W(d) = W(b) ? W(a) / W(b) : FAULT("divides by 0"))               \
    X(rem_u32, "rem.u32", "w=ww", W(d) = W(b) ? W(a) % W(b) : FAULT("divides by 0"))               \
    X(min_u32, "min.u32", "w=ww", W(d) = W(a) < W(b) ? W(a) : W(b))                                \
    X(max_u32, "max.u32", "w=ww", W(d) = W(a) > W(b) ? W(a) : W(b))                                \
    X(min_s32, "min.s32", "w=ww", W(d) = S(a) < S(b) ? W(a) : W(b))                                \
    X(max_s32, "max.s32", "w=ww", W(d) = S(a) > S(b) ? W(a) : W(b))                                \
    X(and_pred, "and.pred", "p=pp", W(d) = W(a) & W(b))                                            \
    X(or_pred, "or.pred", "p=pp", W(d) = W(a) | W(b))                                              \
    X(not_pred, "not.pred", "p=p", W(d) = W(a) ^ 1)                                                \
    X(and_b16, "and.b16", "h=hh", W(d) = W(a) & W(b))                                              \
    X(and_b32, "and.b32", "w=ww", W(d) = W(a) & W(b))                                              \
    X(or_b32, "or.b32", "w=ww", W(d) = W(a) | W(b))                                                \
    X(xor_b32, "xor.b32", "w=ww", W(d) = W(a) ^ W(b))                                              \
    X(not_b32, "not.b32", "w=w", W(d) = ~W(a))                                                     \
    X(and_b64, "and.b64", "l=ll", L(d) = L(a) & L(b))                                              \
    X(or_b64, "or.b64", "l=ll", L(d) = L(a) | L(b))                                                \
    X(shl_b32, "shl.b32", "w=ww", W(d) = W(b) < 32 ? W(a) << W(b) : 0)                             \
    X(shl_b64, "shl.b64", "l=lw", L(d) = W(b) < 64 ? L(a) << W(b) : 0)                             \
    X(shr_u16, "shr.u16", "h=hw", H(d) = W(b) < 16 ? H(a) >> W(b) : 0)                             \
    X(shr_u32, "shr.u32", "w=ww", W(d) = W(b) < 32 ? W(a) >> W(b) : 0)                             \
    X(shr_s32, "shr.s32", "w=ww", W(d) = (uint32_t)(S(a) >> (W(b) < 32 ? W(b) : 31)))              \
    X(shr_u64, "shr.u64", "l=lw", L(d) = W(b) < 64 ? L(a) >> W(b) : 0)                             \
    X(bfi_b32, "bfi.b32", "w=wwww", W(d) = field_inserted(W(a), W(b), W(c), W(e)))                 \
    X(prmt_b32, "prmt.b32", "w=www", W(d) = permuted(W(a), W(b), W(c)))                            \
    X(setp_eq_s32, "setp.eq.s32", "p=ww", W(d) = W(a) == W(b))                                     \
    X(setp_ne_s32, "setp.ne.s32", "p=ww", W(d) = W(a) != W(b))                                     \
    X(setp_lt_s32, "setp.lt.s32", "p=ww", W(d) = S(a) < S(b))                                      \
    X(setp_gt_s32, "setp.gt.s32", "p=ww", W(d) = S(a) > S(b))                                      \
    X(setp_lt_u32, "setp.lt.u32", "p=ww", W(d) = W(a) < W(b))                                      \
    X(setp_le_u32, "setp.le.u32", "p=ww", W(d) = W(a) <= W(b))                                     \
    X(setp_gt_u32, "setp.gt.u32", "p=ww", W(d) = W(a) > W(b))                                      \
    X(setp_ge_u32, "setp.ge.u32", "p=ww", W(d) = W(a) >= W(b))                                     \
    X(setp_eq_s64, "setp.eq.s64", "p=ll", W(d) = L(a) == L(b))                                     \
    X(setp_ne_s64, "setp.ne.s64", "p=ll", W(d) = L(a) != L(b))                                     \
    X(setp_eq_s16, "setp.eq.s16", "p=hh", W(d) = H(a) == H(b))                                     \
    X(setp_ne_s16, "setp.ne.s16", "p=hh", W(d) = H(a) != H(b))                                     \
    X(setp_lt_f32, "setp.lt.f32", "p=ww", W(d) = F(a) < F(b))                                      \
    X(setp_gt_f32, "setp.gt.f32", "p=ww", W(d) = F(a) > F(b))                                      \
    X(setp_ge_f32, "setp.ge.f32", "p=ww", W(d) = F(a) >= F(b))                                     \
    X(setp_ltu_f32, "setp.ltu.f32", "p=ww", W(d) = !(F(a) >= F(b)))                                \
    X(setp_leu_f32, "setp.leu.f32", "p=ww", W(d) = !(F(a) > F(b)))                                 \
    X(selp_u16, "selp.u16", "h=hhp", W(d) = W(c) ? H(a) : H(b))                                    \
    X(selp_u32, "selp.u32", "w=wwp", W(d) = W(c) ? W(a) : W(b))                                    \
    X(selp_b32, "selp.b32", "w=wwp", W(d) = W(c) ? W(a) : W(b))                                    \
    X(selp_f32, "selp.f32", "w=wwp", W(d) = W(c) ? W(a) : W(b))                                    \
    X(selp_b64, "selp.b64", "l=llp", L(d) = W(c) ? L(a) : L(b))                                    \
    X(cvt_u16_u32, "cvt.u16.u32", "h=w", W(d) = W(a) & 0xffff)                                     \
    X(cvt_u32_u16, "cvt.u32.u16", "w=h", W(d) = W(a))                                              \
    X(cvt_u32_u64, "cvt.u32.u64", "w=l", W(d) = (uint32_t)L(a))                                    \
    X(cvt_u64_u32, "cvt.u64.u32", "l=w", L(d) = W(a))                                              \
    X(cvt_s64_s32, "cvt.s64.s32", "l=w", L(d) = (uint64_t)(int64_t)S(a))                           \
    X(cvt_f32_u32, "cvt.rn.f32.u32", "w=w", F(d) = (float)W(a))                                    \
    X(cvt_f32_s32, "cvt.rn.f32.s32", "w=w", F(d) = (float)S(a))                                    \
    X(cvt_sat_f32, "cvt.sat.f32.f32", "w=w", F(d) = saturated(F(a)))                               \
    X(cvt_f32_f16, "cvt.f32.f16", "w=h", F(d) = float_of_f16((uint16_t)W(a)))                      \
    X(cvt_f16_f32, "cvt.rn.f16.f32", "h=w", W(d) = f16_of_float(F(a)))                             \
    X(cvt_bf16_f32, "cvt.rn.bf16.f32", "h=w", W(d) = bf16_of_float(F(a)))                          \
    X(cvt_f16x2, "cvt.rn.f16x2.f32", "w=ww", W(d) = f16_pair(F(a), F(b)))                          \
    X(cvt_bf16x2, "cvt.rn.bf16x2.f32", "w=ww", W(d) = bf16_pair(F(a), F(b)))                       \
    X(add_f32, "add.f32", "w=ww", F(d) = F(a) + F(b))                                              \
    X(sub_f32, "sub.f32", "w=ww", F(d) = F(a) - F(b))                                              \
    X(mul_f32, "mul.f32", "w=ww", F(d) = F(a) * F(b))                                              \
    X(fma_rn_f32, "fma.rn.f32", "w=www", F(d) = __builtin_fmaf(F(a), F(b), F(c)))                  \
    X(fma_rm_f32, "fma.rm.f32", "w=www", F(d) = fma_down(F(a), F(b), F(c)))                        \
    X(div_rn_f32, "div.rn.f32", "w=ww", F(d) = F(a) / F(b))                                        \
    X(rcp_rn_f32, "rcp.rn.f32", "w=w", F(d) = 1.0f / F(a))                                         \
    X(sqrt_rn_f32, "sqrt.rn.f32", "w=w", F(d) = __builtin_sqrtf(F(a)))                             \
    X(rcp_approx, "rcp.approx.ftz.f32", "w=w",                                                     \
      F(d) = flushed(approximate(1.0f / flushed(F(a)), 1)))                                        \
    X(rsqrt_approx, "rsqrt.approx.ftz.f32", "w=w",                                                 \
      F(d) = approximate(1.0f / __builtin_sqrtf(flushed(F(a))), 2))                                \
    X(ex2_approx_ftz, "ex2.approx.ftz.f32", "w=w",                                                 \
      F(d) = flushed(approximate(exp2f(flushed(F(a))), 2)))                                        \
    X(ex2_approx, "ex2.approx.f32", "w=w", F(d) = approximate(exp2f(F(a)), 2))                     \
    X(max_f32, "max.f32", "w=ww", W(d) = greater(W(a), W(b)))                                      \
    X(neg_f32, "neg.f32", "w=w", W(d) = W(a) ^ 0x80000000u)                                        \
    X(abs_f32, "abs.f32", "w=w", W(d) = W(a) & 0x7fffffffu)                                        \
    X(copysign_f32, "copysign.f32", "w=ww", W(d) = (W(a) & 0x80000000u) | (W(b) & 0x7fffffffu))    \
    X(bra, "bra", "=L", JUMP())                                                                    \
    X(bra_if, "@bra", "=pL", if (W(d)) JUMP())                                                     \
    X(bra_unless, "@!bra", "=pL", if (!W(d)) JUMP())                                               \
    X(ret, "ret", "=", return)                                                                     \
    X(bar_sync, "bar.sync", "=0", emulated::meet_block(PLACE))                                     \
    X(bar_warp_sync, "bar.warp.sync", "=w", all_of_warp(W(d), PLACE); emulated::meet_warp(PLACE))  \
    X(shfl_bfly, "shfl.sync.bfly.b32", "w|p=wwww", shuffle(slots, o, exchange_bfly, PLACE))        \
    X(shfl_idx, "shfl.sync.idx.b32", "w|p=wwww", shuffle(slots, o, exchange_idx, PLACE))           \
    X(ldmatrix, "ldmatrix.sync.aligned.m8n8.x4.shared.b16", "4=[",                                 \
      load_matrices(slots, o, SHARED(o.x[4], 16), deal_matrices, PLACE))                           \
    X(ldmatrix_trans, "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", "4=[",                     \
      load_matrices(slots, o, SHARED(o.x[4], 16), deal_transposed, PLACE))                         \
    X(mma_f16, "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "4=424",                       \
      multiply(slots, &p.lists[o.x[0]], multiply_f16, PLACE))                                      \
    X(mma_bf16, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", "4=424",                    \
      multiply(slots, &p.lists[o.x[0]], multiply_bf16, PLACE))                                     \
    X(cp_async, "cp.async.cg.shared.global.L2::128B", "=[[cw",                                     \
      emulated::copy_start(SHARED(o.x[0], 16), GLOBAL(o.x[1], 16), is_copied(W(b), PLACE), PLACE)) \
    X(cp_async_commit, "cp.async.commit_group", "=", emulated::copies_commit())                    \
    X(cp_async_wait, "cp.async.wait_group", "=i", emulated::copies_wait(NUMBER, PLACE))            \
    X(red_release, "red.release.gpu.global.add.u32", "=[w", count_up(GLOBAL(o.x[0], 4), W(a)))     \
    X(ld_acquire, "ld.acquire.gpu.global.u32", "w=[", W(d) = read_count(GLOBAL(o.x[1], 4), PLACE)) \
    X(grid_wait, "griddepcontrol.wait", "=", emulated::wait_for_grid(PLACE))                       \
    X(grid_release, "griddepcontrol.launch_dependents", "=", (void)0)
/* clang-format on */

#endif
