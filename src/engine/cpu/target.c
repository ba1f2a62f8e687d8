/* engine/cpu/target.c: see target.h. */
#include "engine/cpu/target.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/cpu/rates.h"

#define GROUP_NAME "avx512" /* the fastest of several, of which this is the lowest: */
#define GROUP_ISA  QR_ISA_AVX512F

static qr__isa fastest(void) {
    const qr__cpu_id cpu = qr__isa_cpu();
    bool runs[QR_ISA_COUNT];
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++)
        runs[isa] = qr__isa_available(isa);
    return qr__rates_fastest_isa(qr__rates_table, qr__rates_table_len, &cpu, runs);
}

/* "ref avx2 ...", as many as fit: what can be asked for in this build. */
static void list_names(char *out, size_t size) {
    size_t used = 0;
    out[0] = '\0';
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++) {
        const char *group = isa == GROUP_ISA ? " " GROUP_NAME : "";
        if (!qr__isa_native(isa))
            continue;
        int wrote = snprintf(out + used, size - used, "%s %s", group, qr__isa_name(isa));
        if (wrote < 0 || (size_t)wrote >= size - used)
            return;
        used += (size_t)wrote;
    }
}

/* False: there is none of that name. */
static bool find_named(const char *name, qr__isa *out) {
    for (qr__isa isa = QR_ISA_REF; isa < QR_ISA_COUNT; isa++) {
        if (strcmp(name, qr__isa_name(isa)) == 0) {
            *out = isa;
            return true;
        }
    }
    return false;
}

qr_status qr__target_choose(const char *name, qr__isa *out, qr_error *error) {
    const char *source = "cpu:";
    if (name == NULL) {
        name = getenv("QUERENT_ISA");
        source = "QUERENT_ISA=";
    }
    const qr__isa own = fastest();
    const bool any = name == NULL || name[0] == '\0';
    const bool group = !any && strcmp(name, GROUP_NAME) == 0;
    if (any || (group && qr__isa_includes(own, GROUP_ISA))) {
        *out = own;
        return QR_OK;
    }
    qr__isa named = GROUP_ISA;
    const bool known = group || find_named(name, &named);
    if (known && !group && qr__isa_available(named)) {
        *out = named;
        return QR_OK;
    }
    char names[160];
    list_names(names, sizeof names);
    if (!known)
        return qr_error_set(error, QR_BAD_OPTION, "%s%.32s: no such instruction set; known:%s",
                            source, name, names);
    if (!qr__isa_native(named))
        return qr_error_set(error, QR_BAD_OPTION,
                            "%s%s: an instruction set of another architecture, not of this "
                            "machine; known:%s",
                            source, name, names);
    return qr_error_set(error, QR_BAD_OPTION, "%s%s: this machine cannot run it; its fastest is %s",
                        source, name, qr__isa_name(own));
}
