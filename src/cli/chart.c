/* cli/chart.c: two panels above one axis. Numbers are written with a point whatever the locale:
 * no command of querent sets one. */
#include "cli/chart.h"

#include <math.h>
#include <stdio.h>

#include "cli/svg_text.h"

/* The picture, in its own units. */
#define WIDTH      760
#define HEIGHT     600
#define LEFT       76 /* of both panels */
#define RIGHT      736

#define TICKS_MOST 32

typedef struct axis {
    double low, high; /* values */
    double from, to;  /* where they are in the picture */
    bool logarithmic;
} axis;

typedef struct plot {
    const qr__chart *chart;
    axis load, latency, goodput;
    qr_buf *out;
} plot;

/* Of a point, one of the lines. */
typedef double point_value(const qr__sweep_point *point);

static double p50(const qr__sweep_point *point) {
    return point->p50_ms;
}

static double p99(const qr__sweep_point *point) {
    return point->p99_ms;
}

static double goodput(const qr__sweep_point *point) {
    return point->goodput;
}

typedef struct series {
    const char *name, *class;
    point_value *value;
} series;

static const series latencies[] = {{"p99", "p99", p99}, {"p50", "p50", p50}};
static const series rates[] = {{"good answers", "good", goodput}};

/* Axes */

static double place(const axis *a, double value) {
    double low = a->logarithmic ? log10(a->low) : a->low,
           high = a->logarithmic ? log10(a->high) : a->high;
    double at = a->logarithmic ? log10(value) : value;
    return a->from + (at - low) / (high - low) * (a->to - a->from);
}

/* The least of 1, 2 and 5 times a power of ten that cuts `span` into `parts` at most. */
static double nice_step(double span, double parts) {
    double power = pow(10, floor(log10(span / parts))), least = span / parts / power;
    return power * (least <= 1 ? 1 : least <= 2 ? 2 : least <= 5 ? 5 : 10);
}

/* From 0 to the first tick that is not below `most`. */
static axis linear_axis(double most, double from, double to) {
    double step = nice_step(most > 0 ? most : 1, 8);
    double high = step * ceil(most / step - 1e-9);
    return (axis){.low = 0, .high = high > 0 ? high : step, .from = from, .to = to};
}

/* 1, 2 or 5 times a power of ten: the nearest at or below, or at or above. */
static double round_log(double value, bool up) {
    static const double steps[] = {1, 2, 5, 10};
    double power = pow(10, floor(log10(value))), found = up ? 10 : 1;
    for (int i = 0; i < 4; i++) {
        if (up && found == 10 && steps[i] * power >= value * 0.999999)
            found = steps[i];
        if (!up && steps[i] * power <= value * 1.000001)
            found = steps[i];
    }
    return found * power;
}

static axis log_axis(double least, double most, double from, double to) {
    if (!(least > 0 && most >= least))
        least = 1, most = 10; /* no latency at all */
    double low = round_log(least * 0.95, false), high = round_log(most * 1.05, true);
    return (axis){.low = low,
                  .high = high > low ? high : 10 * low,
                  .from = from,
                  .to = to,
                  .logarithmic = true};
}

/* The values of an axis's ticks; returns how many. */
static size_t ticks_of(const axis *a, double out[TICKS_MOST]) {
    size_t len = 0;
    if (!a->logarithmic) {
        double step = nice_step(a->high, 8);
        for (int i = 0; i * step <= a->high * 1.000001 && len < TICKS_MOST; i++)
            out[len++] = i * step;
        return len;
    }
    static const double steps[] = {1, 2, 5};
    bool wide = a->high / a->low > 1000; /* then powers of ten will do */
    for (double power = pow(10, floor(log10(a->low))); power <= a->high; power *= 10)
        for (int i = 0; i < (wide ? 1 : 3); i++) {
            double tick = steps[i] * power;
            if (tick >= a->low * 0.999999 && tick <= a->high * 1.000001 && len < TICKS_MOST)
                out[len++] = tick;
        }
    return len;
}

/* Text */

static void label(const plot *p, double x, double y, const char *class, const char *text) {
    qr_buf_printf(p->out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
    qr__svg_text(p->out, qr_text_of(text));
    qr_buf_literal(p->out, "</text>\n");
}

static void line(const plot *p, const char *class, double x1, double y1, double x2, double y2) {
    qr_buf_printf(p->out, "<path class=\"%s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", class, x1, y1, x2,
                  y2);
}

/* Panels */

static void draw_grid(const plot *p, const axis *values, const char *title) {
    double ticks[TICKS_MOST];
    char text[32];
    size_t len = ticks_of(values, ticks);
    for (size_t i = 0; i < len; i++) {
        double y = place(values, ticks[i]);
        line(p, "grid", LEFT, y, RIGHT, y);
        snprintf(text, sizeof text, "%.10g", ticks[i]);
        label(p, LEFT - 8, y + 4, "tick end", text);
    }
    len = ticks_of(&p->load, ticks);
    for (size_t i = 0; i < len; i++) {
        double x = place(&p->load, ticks[i]);
        line(p, "grid", x, values->from, x, values->to);
        snprintf(text, sizeof text, "%.10g", ticks[i]);
        label(p, x, values->from + 18, "tick middle", text);
    }
    line(p, "axis", LEFT, values->from, RIGHT, values->from);
    line(p, "axis", LEFT, values->from, LEFT, values->to);
    label(p, LEFT, values->to - 10, "name", title);
}

/* One line of one run; a rate without a value on this axis interrupts it. */
static void draw_series(const plot *p, const series *s, const axis *values, int run) {
    const qr__sweep *sweep = p->chart->runs[run].sweep;
    bool drawing = false;
    qr_buf_printf(p->out, "<path class=\"line %s run%d\" d=\"", s->class, run);
    for (size_t i = 0; i < sweep->len; i++) {
        double value = s->value(&sweep->points[i]);
        bool shown = !values->logarithmic || value > 0;
        if (shown)
            qr_buf_printf(p->out, "%c%.1f %.1f", drawing ? 'L' : 'M',
                          place(&p->load, sweep->points[i].rate), place(values, value));
        drawing = shown;
    }
    qr_buf_literal(p->out, "\"/>\n");
    for (size_t i = 0; i < sweep->len; i++) {
        double value = s->value(&sweep->points[i]);
        if (!values->logarithmic || value > 0)
            qr_buf_printf(p->out,
                          "<circle class=\"dot %s run%d\" cx=\"%.1f\" cy=\"%.1f\" "
                          "r=\"3.5\"/>\n",
                          s->class, run, place(&p->load, sweep->points[i].rate),
                          place(values, value));
    }
}

/* A row above the panel's right corner, built from the right. */
static void draw_legend(const plot *p, const series *all, size_t len, double y) {
    double x = RIGHT;
    for (int run = QR_CHART_RUNS - 1; run >= 0; run--)
        for (size_t i = len; p->chart->runs[run].sweep != NULL && i-- > 0;) {
            const char *of = p->chart->runs[1].sweep == NULL ? "" : p->chart->runs[run].name;
            char text[64];
            snprintf(text, sizeof text, "%s%s%s", all[i].name, *of == '\0' ? "" : ", ", of);
            x -= 7.0 * (double)strlen(text) + 8;
            label(p, x, y, "legend", text);
            qr_buf_printf(p->out, "<path class=\"line %s run%d\" d=\"M%.1f %.1fh24\"/>\n",
                          all[i].class, run, x - 30, y - 4);
            x -= 40;
        }
}

static void draw_runs(const plot *p, const series *all, size_t len, const axis *values) {
    for (int run = QR_CHART_RUNS - 1; run >= 0; run--)
        for (size_t i = 0; p->chart->runs[run].sweep != NULL && i < len; i++)
            draw_series(p, &all[i], values, run);
    draw_legend(p, all, len, values->to - 10);
}

static void draw_latency(const plot *p) {
    draw_grid(p, &p->latency, "latency, ms");
    double budget = p->chart->budget_ms;
    if (budget >= p->latency.low && budget <= p->latency.high) {
        double y = place(&p->latency, budget);
        line(p, "bound", LEFT, y, RIGHT, y);
        label(p, LEFT + 8, y - 5, "", "budget");
    }
    draw_runs(p, latencies, sizeof latencies / sizeof *latencies, &p->latency);
}

/* With a line for all that is asked for. */
static void draw_goodput(const plot *p) {
    draw_grid(p, &p->goodput, "goodput, good answers a second");
    double end = fmin(p->load.high, p->goodput.high);
    line(p, "bound", LEFT, p->goodput.from, place(&p->load, end), place(&p->goodput, end));
    label(p, place(&p->load, end) - 24, place(&p->goodput, end) + 2, "end", "offered");
    draw_runs(p, rates, sizeof rates / sizeof *rates, &p->goodput);
    label(p, (LEFT + RIGHT) / 2.0, p->goodput.from + 40, "name middle",
          "offered load, requests a second");
}

/* The greatest and the least of what is drawn. */
static void set_axes(plot *p) {
    double load = 0, least_ms = INFINITY, most_ms = 0, good = 0;
    for (int run = 0; run < QR_CHART_RUNS; run++) {
        const qr__sweep *sweep = p->chart->runs[run].sweep;
        for (size_t i = 0; sweep != NULL && i < sweep->len; i++) {
            const qr__sweep_point *at = &sweep->points[i];
            load = fmax(load, at->rate);
            good = fmax(good, at->goodput);
            most_ms = fmax(most_ms, at->p99_ms);
            if (at->p50_ms > 0)
                least_ms = fmin(least_ms, at->p50_ms);
        }
    }
    double budget = p->chart->budget_ms;
    if (budget > 0 && most_ms > 0 && budget <= 20 * most_ms) /* else it is far away */
        most_ms = fmax(most_ms, budget);
    p->load = linear_axis(load, LEFT, RIGHT);
    p->latency = log_axis(least_ms, most_ms, 336, 96);
    p->goodput = linear_axis(1.05 * good, 536, 396);
}

static const char style[] =
    "<style>"
    "text{font-family:system-ui,sans-serif;font-size:12px;fill:#4a5b6c}"
    ".title{font-size:17px;font-weight:600;fill:#12293f}"
    ".name{font-weight:600;fill:#12293f}.end{text-anchor:end}.middle{text-anchor:middle}"
    "path{fill:none}.grid{stroke:#dde3e9}.axis{stroke:#24425f;stroke-width:1.5}"
    ".bound{stroke:#8fa6bd;stroke-width:1.5;stroke-dasharray:2 4}"
    ".line{stroke-width:2.2}.p50{stroke:#2b6cb0}.p99{stroke:#b5482a}.good{stroke:#2f7d4f}"
    ".dot.p50{fill:#2b6cb0}.dot.p99{fill:#b5482a}.dot.good{fill:#2f7d4f}"
    ".line.run1{stroke-dasharray:7 5}.dot.run1{fill:#f7f8fa;stroke-width:2}"
    "</style>\n";

void qr__chart_svg(const qr__chart *chart, qr_buf *out) {
    plot p = {.chart = chart, .out = out};
    set_axes(&p);
    qr_buf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\">\n"
                  "<title>",
                  WIDTH, HEIGHT);
    qr__svg_text(out, qr_text_of(chart->title));
    qr_buf_literal(out, "</title>\n");
    qr_buf_literal(out, style);
    /* A ground of its own: it is read on white pages and on dark ones. */
    qr_buf_printf(out, "<rect width=\"%d\" height=\"%d\" rx=\"8\" fill=\"#f7f8fa\"/>\n", WIDTH,
                  HEIGHT);
    label(&p, LEFT, 34, "title", chart->title);
    label(&p, LEFT, 54, "", chart->note);
    draw_latency(&p);
    draw_goodput(&p);
    qr_buf_literal(out, "</svg>\n");
}
