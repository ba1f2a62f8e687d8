/* base/float_text.c: shortest round-trip printing of binary32.
 *
 * The mathematics is Raffaello Giulietti's "The Schubfach way to render doubles" (2020, 2022), for
 * binary32: scale the float and the two ends of its rounding interval by one power of ten to
 * numbers with a few digits, computed exactly enough with one 64-bit multiplier and "round to odd",
 * and pick the shortest decimal between the ends.
 *
 * tests/unit/base/test_float_text.c checks a sample. All 2^32 floats were checked once: each reads
 * back as itself, and the digits of every positive one equal those of C++'s std::to_chars.
 */
#include "base/float_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FIRST_POWER (-31)
#define LAST_POWER  45

/* powers[e - FIRST_POWER] = floor(10^e / 2^(floor(log2(10^e)) - 63)) + 1: the leading 64 bits of
 * 10^e, rounded up. */
static const uint64_t powers[LAST_POWER - FIRST_POWER + 1] = {
    0x81CEB32C4B43FCF5, 0xA2425FF75E14FC32, 0xCAD2F7F5359A3B3F, 0xFD87B5F28300CA0E,
    0x9E74D1B791E07E49, 0xC612062576589DDB, 0xF79687AED3EEC552, 0x9ABE14CD44753B53,
    0xC16D9A0095928A28, 0xF1C90080BAF72CB2, 0x971DA05074DA7BEF, 0xBCE5086492111AEB,
    0xEC1E4A7DB69561A6, 0x9392EE8E921D5D08, 0xB877AA3236A4B44A, 0xE69594BEC44DE15C,
    0x901D7CF73AB0ACDA, 0xB424DC35095CD810, 0xE12E13424BB40E14, 0x8CBCCC096F5088CC,
    0xAFEBFF0BCB24AAFF, 0xDBE6FECEBDEDD5BF, 0x89705F4136B4A598, 0xABCC77118461CEFD,
    0xD6BF94D5E57A42BD, 0x8637BD05AF6C69B6, 0xA7C5AC471B478424, 0xD1B71758E219652C,
    0x83126E978D4FDF3C, 0xA3D70A3D70A3D70B, 0xCCCCCCCCCCCCCCCD, 0x8000000000000001,
    0xA000000000000001, 0xC800000000000001, 0xFA00000000000001, 0x9C40000000000001,
    0xC350000000000001, 0xF424000000000001, 0x9896800000000001, 0xBEBC200000000001,
    0xEE6B280000000001, 0x9502F90000000001, 0xBA43B74000000001, 0xE8D4A51000000001,
    0x9184E72A00000001, 0xB5E620F480000001, 0xE35FA931A0000001, 0x8E1BC9BF04000001,
    0xB1A2BC2EC5000001, 0xDE0B6B3A76400001, 0x8AC7230489E80001, 0xAD78EBC5AC620001,
    0xD8D726B7177A8001, 0x878678326EAC9001, 0xA968163F0A57B401, 0xD3C21BCECCEDA101,
    0x84595161401484A1, 0xA56FA5B99019A5C9, 0xCECB8F27F4200F3B, 0x813F3978F8940985,
    0xA18F07D736B90BE6, 0xC9F2C9CD04674EDF, 0xFC6F7C4045812297, 0x9DC5ADA82B70B59E,
    0xC5371912364CE306, 0xF684DF56C3E01BC7, 0x9A130B963A6C115D, 0xC097CE7BC90715B4,
    0xF0BDC21ABB48DB21, 0x96769950B50D88F5, 0xBC143FA4E250EB32, 0xEB194F8E1AE525FE,
    0x92EFD1B8D0CF37BF, 0xB7ABC627050305AE, 0xE596B7B0C643C71A, 0x8F7E32CE7BEA5C70,
    0xB35DBF821AE4F38C,
};

static const char pairs[] = "0001020304050607080910111213141516171819"
                            "2021222324252627282930313233343536373839"
                            "4041424344454647484950515253545556575859"
                            "6061626364656667686970717273747576777879"
                            "8081828384858687888990919293949596979899";

/* floor(log2(10^e)) for |e| < 60. */
static int log2_of_power(int e) {
    return (e * 1741647) >> 19;
}

/* floor(g * scaled / 2^64), with the lowest bit set when the product had a fraction worth knowing
 * of (round to odd). */
static uint32_t multiply_round_to_odd(uint64_t g, uint32_t scaled) {
    unsigned __int128 product = (unsigned __int128)g * scaled;
    uint32_t whole = (uint32_t)(product >> 64);
    uint32_t fraction = (uint32_t)((uint64_t)product >> 32);
    return whole | (fraction > 1);
}

typedef struct decimal {
    uint32_t digits;
    int exponent; /* value = digits * 10^exponent */
} decimal;

/* The shortest decimal of mantissa * 2^exponent, a positive float. `irregular`: a power of two,
 * whose lower neighbour is at half the distance. */
static decimal shortest(uint32_t mantissa, int exponent, bool irregular) {
    /* Four times the float, and the ends of its rounding interval. */
    uint32_t centre = 4 * mantissa, low = centre - (irregular ? 1 : 2), high = centre + 2;
    /* k = floor(log10(2^exponent)), of 3/4 of it when irregular; exact for all exponents of
     * binary32. */
    int k = (exponent * 1262611 - (irregular ? 524031 : 0)) >> 22;
    int shift = exponent + log2_of_power(-k) + 1;
    uint64_t g = powers[-k - FIRST_POWER];
    uint32_t scaled = multiply_round_to_odd(g, centre << shift);
    /* An odd mantissa does not own the ends: a tie there would round to its even neighbour. */
    uint32_t lower = multiply_round_to_odd(g, low << shift) + (mantissa & 1);
    uint32_t upper = multiply_round_to_odd(g, high << shift) - (mantissa & 1);

    uint32_t whole = scaled / 4;
    if (whole >= 10) { /* one digit fewer? */
        uint32_t tens = whole / 10;
        bool below = lower <= 40 * tens, above = 40 * tens + 40 <= upper;
        if (below != above)
            return (decimal){tens + above, k + 1};
    }
    bool below = lower <= 4 * whole, above = 4 * whole + 4 <= upper;
    if (below != above)
        return (decimal){whole + above, k};
    uint32_t middle = 4 * whole + 2;
    bool up = scaled > middle || (scaled == middle && (whole & 1) != 0);
    return (decimal){whole + up, k};
}

/* Most floats have 8 or 9 digits; these are asked for first. */
static size_t count_digits(uint32_t n) {
    if (n >= 10000000)
        return n >= 1000000000 ? 10 : n >= 100000000 ? 9 : 8;
    size_t count = 1;
    while (n >= 10) {
        n /= 10;
        count++;
    }
    return count;
}

/* `n` with `count` digits, two at a time from the right. */
static void put_digits(uint32_t n, size_t count, char *out) {
    while (count >= 2) {
        count -= 2;
        memcpy(out + count, pairs + (size_t)(n % 100) * 2, 2);
        n /= 100;
    }
    if (count == 1)
        out[0] = (char)('0' + n);
}

/* digits * 10^(point - count), with `point` far from 0: "1.5e-20". */
static size_t put_scientific(uint32_t digits, size_t count, int point, char *out) {
    size_t len = 1;
    put_digits(digits, count, out + 1);
    out[0] = out[1];
    if (count > 1) {
        out[1] = '.';
        len = count + 1;
    }
    int exponent = point - 1;
    out[len++] = 'e';
    if (exponent < 0) {
        out[len++] = '-';
        exponent = -exponent;
    }
    size_t exponent_digits = exponent >= 10 ? 2 : 1;
    put_digits((uint32_t)exponent, exponent_digits, out + len);
    return len + exponent_digits;
}

/* Positional from 0.00001 to below 10^10, else scientific; always with a point or an exponent, so
 * that readers take it for a real number. */
static size_t put_decimal(decimal d, char *out) {
    while (d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    size_t count = count_digits(d.digits);
    int point = (int)count + d.exponent; /* value = 0.DIGITS * 10^point */
    if (point < -4 || point > 10)
        return put_scientific(d.digits, count, point, out);
    if (point <= 0) {
        size_t zeros = (size_t)-point;
        memcpy(out, "0.000000", 8);
        put_digits(d.digits, count, out + 2 + zeros);
        return 2 + zeros + count;
    }
    size_t whole = (size_t)point;
    put_digits(d.digits, count, out);
    if (count <= whole) {
        memset(out + count, '0', whole - count);
        memcpy(out + whole, ".0", 2);
        return whole + 2;
    }
    memmove(out + whole + 1, out + whole, count - whole);
    out[whole] = '.';
    return count + 1;
}

size_t qr_float_to_text(float value, char out[QR_FLOAT_TEXT_BYTES]) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t fraction = bits & 0x7FFFFF, biased = bits >> 23 & 0xFF;
    if (biased == 0xFF) {
        memcpy(out, "null", 4);
        return 4;
    }
    size_t sign = bits >> 31;
    out[0] = '-';
    if (biased == 0 && fraction == 0) {
        memcpy(out + sign, "0.0", 3);
        return sign + 3;
    }
    uint32_t mantissa = biased == 0 ? fraction : fraction | 0x800000;
    int exponent = (biased == 0 ? 1 : (int)biased) - 150;
    return sign +
           put_decimal(shortest(mantissa, exponent, fraction == 0 && biased > 1), out + sign);
}
