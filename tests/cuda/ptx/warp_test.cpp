/* What lanes do together in PTX, and what they do to memory, right and wrong. */
#include "ptx_arithmetic.h"
#include "ptx_fixture.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

/* --- control and memory --- */

TEST(loops_and_guards_go_where_they_say) {
    ptx_test k("mov.u32 %r10, 0;\nmov.u32 %r11, 0;\n"
               "$L_again:\n"
               "add.s32 %r10, %r10, %r11;\nadd.s32 %r11, %r11, 1;\n"
               "setp.le.u32 %p1, %r11, %r1;\n@%p1 bra $L_again;\n"
               "setp.lt.u32 %p2, %r1, 3;\n@!%p2 bra $L_end;\nadd.s32 %r10, %r10, 1000;\n"
               "$L_end:\nst.global.u32 [%rd3], %r10;");
    k.run();
    for (uint32_t lane = 0; lane < 32; lane++)
        CHECK(k.result(lane)[0] == lane * (lane + 1) / 2 + (lane < 3 ? 1000 : 0));
}

/* %r12 is read at the begin of each round, whose parts stand in another order than they run: what
 * the last part writes must not take its slot. */
TEST(what_a_later_round_reads_keeps_its_slot) {
    ptx_test k("mov.u32 %r10, 0;\nmov.u32 %r11, 0;\nadd.s32 %r12, %r1, 5;\n"
               "$L_first:\nadd.s32 %r10, %r10, %r12;\nbra $L_second;\n"
               "$L_third:\nadd.s32 %r11, %r11, 1;\nsetp.lt.u32 %p1, %r11, 4;\n"
               "@%p1 bra $L_first;\nbra $L_end;\n"
               "$L_second:\nadd.s32 %r13, %r11, 900;\nadd.s32 %r14, %r13, 1;\nbra $L_third;\n"
               "$L_end:\nst.global.v2.u32 [%rd3], {%r10, %r14};");
    k.run();
    for (uint32_t lane = 0; lane < 32; lane++)
        CHECK(k.result(lane)[0] == 4 * (lane + 5) && k.result(lane)[1] == 904);
}

TEST(loads_and_stores_take_their_bytes) {
    ptx_test k("ld.global.v4.u32 {%r10, %r11, %r12, %r13}, [%rd4];\n"
               "shl.b32 %r20, %r1, 4;\nmov.u32 %r21, qr_shared;\nadd.s32 %r20, %r20, %r21;\n"
               "st.shared.v4.u32 [%r20], {%r13, %r12, %r11, %r10};\n"
               "ld.shared.v2.u32 {%r14, %r15}, [%r20+8];\n"
               "st.global.v2.u32 [%rd3], {%r14, %r15};\n"
               "ld.global.s32 %rd5, [%rd4];\nst.global.u64 [%rd3+8], %rd5;");
    for (uint32_t i = 0; i < 128; i++)
        k.from.as<uint32_t>()[i] = 0x80000000u + i;
    k.run();
    for (uint32_t lane = 0; lane < 32; lane++) {
        CHECK(k.result(lane)[0] == 0x80000000u + 4 * lane + 1);
        CHECK(k.result(lane)[1] == 0x80000000u + 4 * lane);
        CHECK(k.result(lane)[2] == 0x80000000u + 4 * lane);
        CHECK(k.result(lane)[3] == 0xffffffffu); /* the sign of .s32 */
    }
}

TEST(small_loads_are_extended) {
    ptx_test k("ld.global.u16 %rs1, [%rd4+2];\nst.global.u16 [%rd3], %rs1;\n"
               "ld.global.u16 %r10, [%rd4+2];\nst.global.u32 [%rd3+4], %r10;\n"
               "ld.global.u32 %rd5, [%rd4];\nst.global.u64 [%rd3+8], %rd5;");
    for (uint32_t i = 0; i < 128; i++)
        k.from.as<uint32_t>()[i] = 0xfedc0000u + i;
    k.run();
    CHECK(k.result(5)[0] == 0xfedc && k.result(5)[1] == 0xfedc);
    CHECK(k.result(5)[2] == 0xfedc0014u && k.result(5)[3] == 0);
}

TEST(faults_of_memory_are_found) {
    ptx_dies("ld.global.v4.u32 {%r10, %r11, %r12, %r13}, [%rd4+4];", "16 bytes of the access");
    ptx_dies("ld.global.u32 %r10, [%rd4+2];", "not aligned to the 4 bytes");
    ptx_dies("mov.u32 %r10, 1;\nst.shared.v2.u32 [qr_shared+4], {%r10, %r10};", "to the 8 bytes");
    ptx_dies("ld.shared.u32 %r10, [qr_shared+1024];",
             "4 bytes at byte 1024 of shared memory, which has 1024");
    ptx_dies("ld.shared.v4.u32 {%r10, %r11, %r12, %r13}, [qr_shared+1024];", "byte 1024 of shared");
    ptx_dies("mov.u32 %r10, 1;\nst.shared.u32 [qr_shared+-4], %r10;", "byte -4 of shared memory");
    ptx_dies("mov.u32 %r10, 0;\nld.shared.u32 %r11, [%r10];", "of shared memory, which has");
    ptx_dies("ld.param.u32 %r10, [k_param_0+24];", "4 bytes at byte 24 of the parameter");
    ptx_dies("ld.global.u32 %r10, [%rd1+1024];", "accesses memory at");
    ptx_dies("div.u32 %r10, %r1, %r2;", "divides by 0");
    ptx_dies("ld.global.u32 %r10, [%rd4+2];", "emulator: k, block (0, 0, 0), thread");
    ptx_dies("ld.global.u32 %r10, [%rd4+2];", "test.ptx:25: "); /* behind 24 lines of the fixture */
}

/* --- texts that are refused before anything runs --- */

TEST(what_is_not_known_is_refused_with_its_line) {
    ptx_dies("wgmma.fence.sync.aligned;", "test.ptx:25: an instruction that is not known: wgmma");
    ptx_dies("add.s32 %r10, %r1;", "operands are missing: add.s32");
    ptx_dies("add.s32 %r10, %r1, 1, 2;", "too many operands: add.s32");
    ptx_dies("add.s32 %r10, %rd1, 1;", "another size is expected than %rd1");
    ptx_dies("add.s32 %r99, %r1, 1;", "not a register: %r99");
    ptx_dies("add.s32 %r10, %laneid, 1;", "neither a register nor a number that is known: %laneid");
    ptx_dies("ld.local.u32 %r10, [%rd1];", "a load or store that is not known: ld.local.u32");
    ptx_dies("ld.global.u64 %r10, [%rd1];", "another size than the access");
    ptx_dies("bra $L_nowhere;", "there is no label $L_nowhere");
    ptx_dies("bar.sync 1;", "another number is expected than 1");
    ptx_dies(".local .align 4 .b8 depot[16];", "not known: .local");
    ptx_dies("cp.async.cg.shared.global.L2::128B [qr_shared+16], [%rd4], 16, 16;",
             "an offset beside one of two addresses");
    ptx_dies("cp.async.cg.shared.global.L2::128B [qr_shared], [%rd4], 8, 8;",
             "another number is expected than 8");
}

TEST(a_register_that_may_be_read_too_early_is_found_on_any_path) {
    ptx_dies("st.global.u32 [%rd3], %r10;", "a path reads %r10 before it was written");
    ptx_dies("setp.gt.u32 %p1, %r1, 99;\n@%p1 bra $L_by;\nmov.u32 %r10, 1;\n"
             "$L_by:\nst.global.u32 [%rd3], %r10;",
             "a path reads %r10 before it was written"); /* which no lane takes */
    ptx_dies("setp.gt.u32 %p1, %r1, 99;\n@!%p1 mov.u32 %r10, 1;\nst.global.u32 [%rd3], %r10;",
             "a path reads %r10 before it was written");
}

/* --- warps --- */

TEST(shuffles_take_from_the_lane_that_the_isa_names) {
    ptx_test k("add.s32 %r10, %r1, 100;\nmov.u32 %r20, -1;\n"
               "shfl.sync.bfly.b32 %r11|%p1, %r10, %r2, 31, %r20;\n"
               "shfl.sync.bfly.b32 %r12|%p2, %r10, %r2, 15, %r20;\n"
               "selp.b32 %r13, 1, 0, %p2;\n"
               "shfl.sync.idx.b32 %r14|%p3, %r10, %r3, 6175, -1;\n" /* 0x181f: segments of 8 */
               "st.global.v4.u32 [%rd3], {%r11, %r12, %r13, %r14};",
               17, 29);
    k.run();
    for (uint32_t lane = 0; lane < 32; lane++) {
        CHECK(k.result(lane)[0] == (lane ^ 17) + 100);
        CHECK(k.result(lane)[2] == ((lane ^ 17) <= 15));
        CHECK(k.result(lane)[1] == ((lane ^ 17) <= 15 ? lane ^ 17 : lane) + 100);
        CHECK(k.result(lane)[3] == lane / 8 * 8 + 5 + 100);
    }
}

static const char rows_to_shared[] =
    "ld.global.v4.u32 {%r10, %r11, %r12, %r13}, [%rd4];\n"
    "shl.b32 %r20, %r1, 4;\nmov.u32 %r21, qr_shared;\nadd.s32 %r20, %r20, %r21;\n"
    "st.shared.v4.u32 [%r20], {%r10, %r11, %r12, %r13};\n";

/* Element (r, c) of matrix m is half c % 2 of register m of lane 4 r + c / 2. */
static void check_ldmatrix(bool transposed) {
    ptx_test k(std::string(rows_to_shared) + "bar.warp.sync -1;\nldmatrix.sync.aligned.m8n8.x4" +
               (transposed ? ".trans" : "") +
               ".shared.b16 {%r14, %r15, %r16, %r17}, [%r20];\n"
               "st.global.v4.u32 [%rd3], {%r14, %r15, %r16, %r17};");
    for (uint32_t i = 0; i < 256; i++)
        k.from.as<uint16_t>()[i] = (uint16_t)(i * 3 + 1);
    k.run();
    uint32_t wrong = 0;
    for (uint32_t m = 0; m < 4; m++)
        for (uint32_t r = 0; r < 8; r++)
            for (uint32_t c = 0; c < 8; c++) {
                const uint32_t i = transposed ? c : r, j = transposed ? r : c;
                const uint32_t word = k.result(4 * i + j / 2)[m];
                wrong += (uint16_t)(word >> 16 * (j % 2)) != (m * 64 + r * 8 + c) * 3 + 1;
            }
    CHECK(wrong == 0);
}

TEST(ldmatrix_deals_rows_or_columns) {
    check_ldmatrix(false);
    check_ldmatrix(true);
}

/* Without the bar a lane reads a row that another has not written, in some order of the lanes. */
TEST(ldmatrix_needs_a_bar_behind_other_lanes_stores) {
    uint32_t poisoned = 0;
    for (uint64_t s = 1; s <= 20; s++) {
        emulator::seed(s);
        ptx_test k(std::string(rows_to_shared) + "xor.b32 %r20, %r20, 16;\n"
                                                 "ldmatrix.sync.aligned.m8n8.x4.shared.b16 "
                                                 "{%r14, %r15, %r16, %r17}, [%r20];\n"
                                                 "st.global.v4.u32 [%rd3], "
                                                 "{%r14, %r15, %r16, %r17};");
        memset(k.from.data, 0, k.from.bytes);
        k.run();
        for (uint32_t lane = 0; lane < 32; lane++)
            poisoned += k.result(lane)[0] != 0;
    }
    CHECK(poisoned > 0);
}

/* d = a * b + c with small numbers, exact in any order. a[m][k] is one of the lane's eight halves
 * by the figure of the ISA: lane 4 * (m % 8) + k % 8 / 2, half k % 2 of register m / 8 + k / 8 * 2;
 * b[k][n]: lane 4 * n + k % 8 / 2, register k / 8; c[m][n]: lane 4 * (m % 8) + n / 2. */
template <class F> static void check_mma(const char *name, F bits) {
    ptx_test k("ld.global.v4.u32 {%r10, %r11, %r12, %r13}, [%rd4];\n"
               "ld.global.v2.u32 {%r14, %r15}, [%rd4+512];\n"              /* 16 bytes a lane */
               "cvt.rn.f32.u32 %f1, %r1;\nadd.f32 %f2, %f1, 0f42C80000;\n" /* c: lane, + 100 */
               "add.f32 %f3, %f2, 0f42C80000;\nadd.f32 %f4, %f3, 0f42C80000;\n"
               "mma.sync.aligned.m16n8k16.row.col.f32." +
               std::string(name) + "." + name +
               ".f32 {%f5, %f6, %f7, %f8}, {%r10, %r11, %r12, %r13}, {%r14, %r15}, "
               "{%f1, %f2, %f3, %f4};\n"
               "st.global.v4.f32 [%rd3], {%f5, %f6, %f7, %f8};");
    auto a = [](uint32_t m, uint32_t i) { return (float)((m * 7 + i * 3) % 11) - 5; };
    auto b = [](uint32_t i, uint32_t n) { return (float)((i * 5 + n * 2) % 13) / 4 - 1; };
    auto *from = k.from.as<uint16_t>();
    for (uint32_t i = 0; i < 16; i++) {
        const uint32_t lane_of_k = i % 8 / 2;
        for (uint32_t m = 0; m < 16; m++)
            from[(4 * (m % 8) + lane_of_k) * 8 + (m / 8 + i / 8 * 2) * 2 + i % 2] = bits(a(m, i));
        for (uint32_t n = 0; n < 8; n++)
            from[256 + (4 * n + lane_of_k) * 8 + i / 8 * 2 + i % 2] = bits(b(i, n));
    }
    k.run();
    uint32_t wrong = 0;
    for (uint32_t m = 0; m < 16; m++)
        for (uint32_t n = 0; n < 8; n++) {
            const uint32_t lane = 4 * (m % 8) + n / 2, element = m / 8 * 2 + n % 2;
            float sum = (float)lane + 100 * (float)element;
            for (uint32_t i = 0; i < 16; i++)
                sum += a(m, i) * b(i, n);
            wrong += ptx::float_of(k.result(lane)[element]) != sum;
        }
    CHECK(wrong == 0);
}

TEST(mma_multiplies_fragments) {
    check_mma("f16", ptx::f16_of_float);
    check_mma("bf16", ptx::bf16_of_float);
}

TEST(lanes_that_are_not_together_are_found) {
    ptx_dies("setp.lt.u32 %p1, %r1, 16;\n@%p1 bra $L_low;\n"
             "shfl.sync.bfly.b32 %r10|%p2, %r1, 1, 31, -1;\nbra $L_end;\n"
             "$L_low:\nshfl.sync.bfly.b32 %r10|%p2, %r1, 1, 31, -1;\n$L_end:",
             "comes to shfl.sync while a lane of its warp waits in shfl.sync at test.ptx:");
    ptx_dies("setp.lt.u32 %p1, %r1, 16;\n@%p1 bra $L_end;\nbar.warp.sync -1;\n$L_end:",
             "waits for threads that do not come");
    ptx_dies("setp.lt.u32 %p1, %r1, 16;\n@%p1 bra $L_end;\nbar.sync 0;\n$L_end:",
             "waits for threads that do not come");
    ptx_dies("bar.warp.sync 65535;", "the mask of members is 0000ffff, and not of all lanes");
    ptx_dies("shfl.sync.idx.b32 %r10|%p1, %r1, 0, 31, 1;", "the mask of members is 00000001");
}

/* --- copies --- */

/* Two groups; a bytes of the second are copied; the first b are awaited before all are read. */
static const char two_copies[] =
    "shl.b32 %r20, %r1, 4;\nmov.u32 %r21, qr_shared;\nadd.s32 %r20, %r20, %r21;\n"
    "add.s32 %r22, %r20, 512;\nadd.s64 %rd5, %rd4, 512;\n"
    "cp.async.cg.shared.global.L2::128B [%r20], [%rd4], 16, 16;\ncp.async.commit_group;\n"
    "cp.async.cg.shared.global.L2::128B [%r22], [%rd5], 16, %r2;\ncp.async.commit_group;\n";
static const char both_read[] = "ld.shared.u32 %r10, [%r20];\nld.shared.u32 %r11, [%r22+12];\n"
                                "st.global.v2.u32 [%rd3], {%r10, %r11};\n"
                                "cp.async.wait_group 0;";

static void check_copies(const char *wait, uint32_t bytes, bool second_is_there) {
    ptx_test k(std::string(two_copies) + wait + both_read, bytes);
    for (uint32_t i = 0; i < 256; i++)
        k.from.as<uint32_t>()[i] = i + 1;
    k.run();
    for (uint32_t lane = 0; lane < 32; lane++) {
        const uint32_t second = bytes ? 128 + 4 * lane + 3 + 1 : 0;
        CHECK(k.result(lane)[0] == 4 * lane + 1);
        CHECK(k.result(lane)[1] == (second_is_there ? second : 0x7fff7fffu)); /* else NaN */
    }
}

TEST(copies_are_there_behind_their_wait_and_not_before) {
    check_copies("cp.async.wait_group 0;\n", 16, true);
    check_copies("cp.async.wait_group 0;\n", 0, true);
    check_copies("cp.async.wait_group 1;\n", 16, false);
    ptx_dies("cp.async.cg.shared.global.L2::128B [qr_shared], [%rd4], 16, 16;",
             "before its copies had arrived");
    ptx_dies("cp.async.cg.shared.global.L2::128B [qr_shared], [%rd4], 16, 8;", "only 0 and 16");
    ptx_dies(
        "add.s64 %rd5, %rd4, 8;\ncp.async.cg.shared.global.L2::128B [qr_shared], [%rd5], 16, 16;",
        "not aligned to the 16 bytes");
}

/* --- kernels that follow each other --- */

/* What is loaded is 0 when the kernel may begin, and 7 when the one before it has ended. */
static void run_beside_change(ptx_test &k) {
    memset(k.from.data, 0, k.from.bytes);
    emulator::grid g(k.config(), &k.args);
    g.begin();
    for (uint32_t i = 0; i < 128; i++)
        k.from.as<uint32_t>()[i] = 7;
    g.finish();
}

TEST(what_is_loaded_before_the_wait_is_old) {
    ptx_test k("ld.global.u32 %r10, [%rd4];\ngriddepcontrol.launch_dependents;\n"
               "griddepcontrol.wait;\nld.global.u32 %r11, [%rd4];\n"
               "st.global.v2.u32 [%rd3], {%r10, %r11};");
    CHECK(k.made.find("k")->may_begin_early);
    run_beside_change(k);
    CHECK(k.result(3)[0] == 0 && k.result(3)[1] == 7);
}

/* The launch asks for an early start, and gets none. */
TEST(below_sm_90_no_kernel_begins_early) {
    ptx_test k("ld.global.u32 %r10, [%rd4];\nst.global.u32 [%rd3], %r10;", 0, 0, "sm_80");
    CHECK(!k.made.find("k")->may_begin_early);
    run_beside_change(k);
    CHECK(k.result(3)[0] == 7);
}

TEST(a_kernel_of_sm_90_without_the_wait_is_found) {
    dies("no wait", "ended without grid_wait in a programmatic launch", [] {
        ptx_test k("mov.u32 %r10, 1;", 0, 0, "sm_90a");
        emulator::grid(k.config(), &k.args).finish();
    });
}

TEST(a_module_has_its_kernels) {
    ptx_test k("");
    const emulator::kernel *found = k.made.find("k");
    CHECK(found && found->threads == 32 && found->args_bytes == sizeof(probe_args));
    CHECK(!k.made.find("other"));
}

/* --- the environment --- */

/* A file with the fixture's kernel. */
static std::string written_text() {
    char path[] = "/tmp/qr_ptx_XXXXXX";
    const int file = mkstemp(path);
    const std::string text = ptx_text("");
    CHECK(file >= 0 && write(file, text.data(), text.size()) == (ssize_t)text.size());
    close(file);
    return path;
}

TEST(the_environment_names_a_file_whose_kernels_are_found) {
    ends("a file", 0, "found k and no other", [] {
        const std::string path = written_text();
        setenv("QR_EMULATOR_PTX", path.c_str(), 1);
        const bool is_there = emulator::find("k") && emulator::find("k")->code;
        unlink(path.c_str());
        if (is_there && !emulator::find("qr_cuda_widen_f16"))
            fputs("found k and no other", stderr);
    });
    dies("no file", "/nowhere.ptx:0: is missing or empty (QR_EMULATOR_PTX)", [] {
        setenv("QR_EMULATOR_PTX", "/nowhere.ptx", 1);
        emulator::find("k");
    });
}
