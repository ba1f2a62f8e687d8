/* engine/cpu/kernels/isa.c: cpuid read once, and the names of instruction sets.
 *
 * gcc's and clang's __builtin_cpu_supports also asks XGETBV, so an AVX-512 that the operating
 * system does not save is not available. */
#include "engine/cpu/kernels/isa.h"

#include <stdlib.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define BIT(isa) (1u << (isa))

/* Which kernels a plan for the ISA may use. */
static const struct {
    const char *name;
    unsigned includes;
} table[QR_ISA_COUNT] = {
    [QR_ISA_REF] = {"ref", BIT(QR_ISA_REF)},
    [QR_ISA_AVX2] = {"avx2", BIT(QR_ISA_REF) | BIT(QR_ISA_AVX2)},
    [QR_ISA_AVX2VNNI] = {"avx2vnni", BIT(QR_ISA_REF) | BIT(QR_ISA_AVX2) | BIT(QR_ISA_AVX2VNNI)},
    [QR_ISA_AVX512F] = {"avx512f", BIT(QR_ISA_REF) | BIT(QR_ISA_AVX2) | BIT(QR_ISA_AVX512F)},
    [QR_ISA_AVX512VNNI] = {"avx512vnni", BIT(QR_ISA_REF) | BIT(QR_ISA_AVX2) | BIT(QR_ISA_AVX512F) |
                                             BIT(QR_ISA_AVX512VNNI)},
    [QR_ISA_AVX512BF16] = {"avx512bf16", BIT(QR_ISA_REF) | BIT(QR_ISA_AVX2) | BIT(QR_ISA_AVX512F) |
                                             BIT(QR_ISA_AVX512VNNI) | BIT(QR_ISA_AVX512BF16)},
};

const char *qr__isa_name(qr__isa isa) {
    return isa < QR_ISA_COUNT ? table[isa].name : "unknown";
}

bool qr__isa_includes(qr__isa isa, qr__isa need) {
    return (table[isa].includes & BIT(need)) != 0;
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

bool qr__isa_available(qr__isa isa) {
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                __builtin_cpu_supports("bmi2") && has_f16c();
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
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
        return vnni && __builtin_cpu_supports("avx512bf16");
    case QR_ISA_COUNT:
        break;
    }
    return false;
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
#else
bool qr__isa_available(qr__isa isa) {
    return isa == QR_ISA_REF;
}

qr__cpu_id qr__isa_cpu(void) {
    return (qr__cpu_id){0};
}
#endif

static qr__isa best(void) {
    for (qr__isa isa = QR_ISA_AVX512BF16; isa > QR_ISA_REF; isa--)
        if (qr__isa_available(isa))
            return isa;
    return QR_ISA_REF;
}

qr_status qr__isa_choose(const char *name, qr__isa *out, qr_error *error) {
    const char *source = "cpu:";
    if (name == NULL) {
        name = getenv("QUERENT_ISA");
        source = "QUERENT_ISA=";
    }
    *out = best();
    if (name == NULL || name[0] == '\0')
        return QR_OK;
    if (strcmp(name, "avx512") == 0) {
        if (*out >= QR_ISA_AVX512F)
            return QR_OK;
        return qr_error_set(error, QR_BAD_OPTION,
                            "%savx512: this machine has no AVX-512; best is %s", source,
                            qr__isa_name(*out));
    }
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++) {
        if (strcmp(name, table[isa].name) != 0)
            continue;
        if (!qr__isa_available(isa))
            return qr_error_set(error, QR_BAD_OPTION,
                                "%s%s: this machine cannot run it; its best is %s", source, name,
                                qr__isa_name(*out));
        *out = isa;
        return QR_OK;
    }
    return qr_error_set(error, QR_BAD_OPTION,
                        "%s%.32s: no such instruction set; known: ref avx2 avx2vnni avx512 avx512f "
                        "avx512vnni avx512bf16",
                        source, name);
}
