/* engine/cpu/rates.c: the row for a CPU, and what follows from it: the instruction set to take and
 * the order of precisions. */
#include "engine/cpu/rates.h"

#include <stdio.h>

static bool is_row_of(const qr__rates *row, const qr__cpu_id *cpu) {
    return strcmp(row->cpu.vendor, cpu->vendor) == 0 && row->cpu.family == cpu->family &&
           row->cpu.model == cpu->model;
}

static bool is_of_vendor(const qr__rates *row, const qr__cpu_id *cpu) {
    return strcmp(row->cpu.vendor, cpu->vendor) == 0;
}

const qr__rates *qr__rates_find(const qr__rates *rows, size_t len, const qr__cpu_id *cpu,
                                qr__isa isa) {
    const qr__rates *any = NULL;
    for (size_t i = 0; i < len; i++) {
        if (rows[i].isa != isa)
            continue;
        if (is_row_of(&rows[i], cpu))
            return &rows[i];
        if (rows[i].stands_in &&
            (any == NULL || (is_of_vendor(&rows[i], cpu) && !is_of_vendor(any, cpu))))
            any = &rows[i];
    }
    return any;
}

/* Whether the figures of `row` say that a plan for it loses against one for `lower`. */
static bool is_slower(const qr__rates *row, const qr__rates *lower) {
    const double here[] = {row->f32_gops, row->bf16_gops, row->int8_gops};
    const double there[] = {lower->f32_gops, lower->bf16_gops, lower->int8_gops};
    bool slower = false;
    for (size_t i = 0; i < sizeof here / sizeof here[0]; i++) {
        if (here[i] > there[i] * QR_RATES_TIE)
            return false;
        slower = slower || here[i] * QR_RATES_TIE < there[i];
    }
    return slower;
}

/* Rates of two CPUs say nothing about two instruction sets, so both rows are of one. */
static bool loses(const qr__rates *rows, size_t len, const qr__rates *row,
                  const bool runs[QR_ISA_COUNT]) {
    for (size_t i = 0; i < len; i++)
        if (runs[rows[i].isa] && qr__isa_includes(row->isa, rows[i].isa) &&
            is_row_of(&rows[i], &row->cpu) && is_slower(row, &rows[i]))
            return true;
    return false;
}

qr__isa qr__rates_fastest_isa(const qr__rates *rows, size_t len, const qr__cpu_id *cpu,
                              const bool runs[QR_ISA_COUNT]) {
    for (qr__isa isa = QR_ISA_COUNT - 1; isa > QR_ISA_REF; isa--) {
        const qr__rates *row = runs[isa] ? qr__rates_find(rows, len, cpu, isa) : NULL;
        if (runs[isa] && (row == NULL || !loses(rows, len, row, runs)))
            return isa;
    }
    return QR_ISA_REF;
}

void qr__rates_describe(const qr__rates *row, const qr__cpu_id *cpu, qr_rates *out) {
    *out = (qr_rates){.name = "none"};
    if (row == NULL)
        return;
    const bool measured = row->date[0] != '\0';
    const char *whose = !measured || is_row_of(row, cpu) ? ""
                        : is_of_vendor(row, cpu)         ? " (for any CPU of its vendor)"
                                                         : " (for any CPU)";
    snprintf(out->name, sizeof out->name, "%s, %s, %s%s", row->name, qr__isa_name(row->isa),
             measured ? row->date : "not measured", whose);
    out->gops[QR_PRECISION_F32] = row->f32_gops;
    out->gops[QR_PRECISION_BF16] = row->bf16_gops;
    out->gops[QR_PRECISION_INT8] = row->int8_gops;
}

/* The best of what is `left`, and of all that come within the tie the most exact: precisions are
 * numbered from f32 down. */
static qr_precision fastest(const qr_rates *rates, const bool left[QR_PRECISIONS]) {
    double best = 0;
    for (unsigned p = QR_PRECISION_F32; p < QR_PRECISIONS; p++)
        if (left[p] && rates->gops[p] > best)
            best = rates->gops[p];
    for (unsigned p = QR_PRECISION_F32; p < QR_PRECISIONS; p++)
        if (left[p] && rates->gops[p] * QR_RATES_TIE >= best)
            return (qr_precision)p;
    return QR_PRECISION_F32;
}

void qr__rates_order(const qr_rates *rates, const bool runs[QR_PRECISIONS],
                     qr_precision order[QR_PRECISIONS]) {
    bool left[QR_PRECISIONS] = {0};
    size_t len = 0;
    left[QR_PRECISION_F32] = true;
    for (unsigned p = QR_PRECISION_F32 + 1; p < QR_PRECISIONS; p++)
        left[p] = runs[p] && rates->gops[p] > 0 && rates->gops[QR_PRECISION_F32] > 0;
    do {
        order[len] = fastest(rates, left);
        left[order[len]] = false;
    } while (order[len++] != QR_PRECISION_F32);
}
