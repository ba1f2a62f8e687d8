/* engine/cpu/rates_tables.c: measured rates by CPU and instruction set. tools/make_rates.py writes
 * the rows of the machine that it runs on and leaves the others; engine/cpu/rates.h says what the
 * columns are.
 */
/* clang-format off */
#include "engine/cpu/rates.h"

const qr__rates qr__rates_table[] = {
    {{"AuthenticAMD", 23, 1}, "AMD Zen server", QR_ISA_AVX2, false, "2026-12-01", 35.8, 27.7, 64.1},
    {{"AuthenticAMD", 25, 17}, "AMD Zen 4 server", QR_ISA_AVX2, false, "2026-11-28", 100.9, 99.4, 237.4},
    {{"AuthenticAMD", 25, 17}, "AMD Zen 4 server", QR_ISA_AVX512F, true, "2026-11-28", 110, 101.5, 262.7},
    {{"AuthenticAMD", 25, 17}, "AMD Zen 4 server", QR_ISA_AVX512VNNI, true, "2026-11-28", 109.2, 101.4, 414.4},
    {{"AuthenticAMD", 25, 17}, "AMD Zen 4 server", QR_ISA_AVX512BF16, true, "2026-11-28", 109.9, 221.6, 414.8},
    {{"AuthenticAMD", 26, 2}, "AMD Zen 5 server", QR_ISA_AVX2, false, "2026-11-29", 115, 117.9, 307.3},
    {{"AuthenticAMD", 26, 2}, "AMD Zen 5 server", QR_ISA_AVX2VNNI, true, "2026-11-29", 116.5, 119, 417.4},
    {{"AuthenticAMD", 26, 2}, "AMD Zen 5 server", QR_ISA_AVX512F, false, "2026-11-29", 200.7, 255.4, 616.4},
    {{"AuthenticAMD", 26, 2}, "AMD Zen 5 server", QR_ISA_AVX512VNNI, false, "2026-11-29", 220.5, 252.3, 874.8},
    {{"AuthenticAMD", 26, 2}, "AMD Zen 5 server", QR_ISA_AVX512BF16, false, "2026-11-29", 223.8, 466.2, 864.3},
    {{"GenuineIntel", 6, 106}, "Intel Ice Lake server", QR_ISA_AVX2, true, "2026-11-25", 43.9, 74, 177.8},
    {{"GenuineIntel", 6, 106}, "Intel Ice Lake server", QR_ISA_AVX512F, true, "2026-11-25", 53.5, 125.3, 257.9},
    {{"GenuineIntel", 6, 106}, "Intel Ice Lake server", QR_ISA_AVX512VNNI, true, "2026-11-25", 53.8, 126, 401.3},
    {{"GenuineIntel", 6, 167}, "Intel Granite Rapids server", QR_ISA_AVX2, false, "2026-11-29", 86, 96.5, 207},
    {{"GenuineIntel", 6, 167}, "Intel Granite Rapids server", QR_ISA_AVX2VNNI, true, "2026-11-29", 84.6, 96.8, 296},
    {{"GenuineIntel", 6, 167}, "Intel Granite Rapids server", QR_ISA_AVX512F, false, "2026-11-29", 129, 157.4, 323.8},
    {{"GenuineIntel", 6, 167}, "Intel Granite Rapids server", QR_ISA_AVX512VNNI, false, "2026-11-29", 128.7, 163.1, 482.4},
    {{"GenuineIntel", 6, 167}, "Intel Granite Rapids server", QR_ISA_AVX512BF16, false, "2026-11-29", 129.3, 112, 482.5},
    {{"GenuineIntel", 6, 167}, "Intel Granite Rapids server", QR_ISA_AMX, true, "2026-11-29", 128.9, 245.4, 483.9},
    {{"GenuineIntel", 6, 207}, "Intel Emerald Rapids server", QR_ISA_AVX2, false, "2026-11-29", 70.2, 70.9, 181.7},
    {{"GenuineIntel", 6, 207}, "Intel Emerald Rapids server", QR_ISA_AVX2VNNI, false, "2026-11-29", 69.7, 70.8, 252.8},
    {{"GenuineIntel", 6, 207}, "Intel Emerald Rapids server", QR_ISA_AVX512F, false, "2026-11-29", 111.6, 133.1, 277.5},
    {{"GenuineIntel", 6, 207}, "Intel Emerald Rapids server", QR_ISA_AVX512VNNI, false, "2026-11-29", 111.7, 132.9, 443.8},
    {{"GenuineIntel", 6, 207}, "Intel Emerald Rapids server", QR_ISA_AVX512BF16, true, "2026-11-29", 111.7, 87.3, 443},
    {{"", 0, 0}, "any CPU", QR_ISA_REF, true, "", 0, 0, 0},
    {{"", 0, 0}, "any CPU", QR_ISA_NEON, true, "", 0, 0, 0},
    {{"", 0, 0}, "any CPU", QR_ISA_NEONDOT, true, "", 0, 0, 0},
    {{"", 0, 0}, "any CPU", QR_ISA_NEONI8MM, true, "", 0, 0, 0},
};

const size_t qr__rates_table_len = sizeof qr__rates_table / sizeof qr__rates_table[0];
