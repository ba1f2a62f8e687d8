/* engine/cpu/rates.c: the row for a CPU, and the order of precisions that follows from it. */
#include "engine/cpu/rates.h"

#include <stdio.h>

static bool is_row_of(const qr__rates *row, const qr__cpu_id *cpu) {
    return strcmp(row->cpu.vendor, cpu->vendor) == 0 && row->cpu.family == cpu->family &&
           row->cpu.model == cpu->model;
}

const qr__rates *qr__rates_find(const qr__rates *rows, size_t len, const qr__cpu_id *cpu,
                                qr__isa isa) {
    const qr__rates *any = NULL;
    for (size_t i = 0; i < len; i++) {
        if (rows[i].isa != isa)
            continue;
        if (is_row_of(&rows[i], cpu))
            return &rows[i];
        any = rows[i].stands_in ? &rows[i] : any;
    }
    return any;
}

void qr__rates_describe(const qr__rates *row, const qr__cpu_id *cpu, qr_rates *out) {
    *out = (qr_rates){.name = "none"};
    if (row == NULL)
        return;
    const bool measured = row->date[0] != '\0';
    snprintf(out->name, sizeof out->name, "%s, %s, %s%s", row->name, qr__isa_name(row->isa),
             measured ? row->date : "not measured",
             measured && !is_row_of(row, cpu) ? " (for any CPU)" : "");
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
