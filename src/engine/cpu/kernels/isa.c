/* engine/cpu/kernels/isa.c: cpuid (x86-64) or the auxiliary vector (aarch64) read, and the names of
 * instruction sets.
 *
 * gcc's and clang's __builtin_cpu_supports also asks XGETBV, so an AVX-512 that the operating
 * system does not save is not available. */
#include "engine/cpu/kernels/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#define BIT(isa)    (1u << (isa))

#define ANY_MACHINE BIT(QR_ISA_REF)
#define WITH_AVX2   (ANY_MACHINE | BIT(QR_ISA_AVX2))
#define WITH_AVX512 (WITH_AVX2 | BIT(QR_ISA_AVX512F))
#define WITH_VNNI   (WITH_AVX512 | BIT(QR_ISA_AVX512VNNI))
#define WITH_BF16   (WITH_VNNI | BIT(QR_ISA_AVX512BF16))
#define WITH_NEON   (ANY_MACHINE | BIT(QR_ISA_NEON))
#define WITH_DOT    (WITH_NEON | BIT(QR_ISA_NEONDOT))

#if defined(__x86_64__)
#define ARCHITECTURE "x86-64"
#elif defined(__aarch64__)
#define ARCHITECTURE "aarch64"
#else
#define ARCHITECTURE "another"
#endif

/* Which kernels a plan for the ISA may use; NULL: an ISA of every architecture. */
static const struct {
    const char *name, *architecture;
    unsigned includes;
} table[QR_ISA_COUNT] = {
    [QR_ISA_REF] = {"ref", NULL, ANY_MACHINE},
    [QR_ISA_AVX2] = {"avx2", "x86-64", WITH_AVX2},
    [QR_ISA_AVX2VNNI] = {"avx2vnni", "x86-64", WITH_AVX2 | BIT(QR_ISA_AVX2VNNI)},
    [QR_ISA_AVX512F] = {"avx512f", "x86-64", WITH_AVX512},
    [QR_ISA_AVX512VNNI] = {"avx512vnni", "x86-64", WITH_VNNI},
    [QR_ISA_AVX512BF16] = {"avx512bf16", "x86-64", WITH_BF16},
    [QR_ISA_AMX] = {"amx", "x86-64", WITH_BF16 | BIT(QR_ISA_AMX)},
    [QR_ISA_NEON] = {"neon", "aarch64", WITH_NEON},
    [QR_ISA_NEONDOT] = {"neondot", "aarch64", WITH_DOT},
    [QR_ISA_NEONI8MM] = {"neoni8mm", "aarch64", WITH_DOT | BIT(QR_ISA_NEONI8MM)},
};

const char *qr__isa_name(qr__isa isa) {
    return isa < QR_ISA_COUNT ? table[isa].name : "unknown";
}

bool qr__isa_includes(qr__isa isa, qr__isa need) {
    return (table[isa].includes & BIT(need)) != 0;
}

bool qr__isa_native(qr__isa isa) {
    const char *architecture = table[isa].architecture;
    return architecture == NULL || strcmp(architecture, ARCHITECTURE) == 0;
}

#if defined(__x86_64__)
/* CPUID 1 ECX bit 29; clang 14 knows no name for it. */
static bool has_f16c(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1) != 0;
}

/* CPUID 7.1 EAX bit 4; gcc 12 knows no name for it. */
static bool has_avx_vnni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1) != 0;
}

/* CPUID 7.0 EDX bits 22, 24, 25: AMX-BF16, AMX-TILE, AMX-INT8. The registers are 8 KB a thread,
 * which Linux saves for those processes only that asked for it (Documentation/arch/x86/xstate.rst);
 * it says no where it, or the CPU, has none. */
static bool has_amx(void) {
    const unsigned all = 1u << 22 | 1u << 24 | 1u << 25;
    const long request_permission = 0x1023, tile_data = 18;
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & all) == all &&
           syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

bool qr__isa_available(qr__isa isa) {
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                __builtin_cpu_supports("bmi2") && has_f16c();
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
    bool bf16 = vnni && __builtin_cpu_supports("avx512bf16");
    switch (isa) {
    case QR_ISA_REF:
        return true;
    case QR_ISA_AVX2:
        return avx2;
    case QR_ISA_AVX2VNNI:
        return avx2 && has_avx_vnni();
    case QR_ISA_AVX512F:
        return avx512;
    case QR_ISA_AVX512VNNI:
        return vnni;
    case QR_ISA_AVX512BF16:
        return bf16;
    case QR_ISA_AMX:
        return bf16 && has_amx();
    default:
        return false;
    }
}

/* CPUID 0 has the vendor's letters in EBX, EDX, ECX; CPUID 1 EAX family and model, each in two
 * parts. */
qr__cpu_id qr__isa_cpu(void) {
    qr__cpu_id id = {0};
    unsigned a, b, c, d;
    if (!__get_cpuid(0, &a, &b, &c, &d))
        return id;
    memcpy(id.vendor, &b, 4);
    memcpy(id.vendor + 4, &d, 4);
    memcpy(id.vendor + 8, &c, 4);
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return id;
    const unsigned family = a >> 8 & 0xf;
    id.family = family == 0xf ? family + (a >> 20 & 0xff) : family;
    id.model = (a >> 4 & 0xf) | (family == 6 || family == 0xf ? a >> 12 & 0xf0 : 0);
    return id;
}
#elif defined(__aarch64__)
bool qr__isa_available(qr__isa isa) {
    const bool dot = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
    const unsigned long more = HWCAP2_I8MM | HWCAP2_BF16;
    switch (isa) {
    case QR_ISA_REF:
    case QR_ISA_NEON:
        return true;
    case QR_ISA_NEONDOT:
        return dot;
    case QR_ISA_NEONI8MM:
        return dot && (getauxval(AT_HWCAP2) & more) == more;
    default:
        return false;
    }
}
#else
bool qr__isa_available(qr__isa isa) {
    return isa == QR_ISA_REF;
}
#endif

#if !defined(__x86_64__)
qr__cpu_id qr__isa_cpu(void) {
    return (qr__cpu_id){0};
}
#endif
