/* cli/import_chart.c: a head of text, a row of what comes before the layers, a row for each run of
 * layers that are alike, a row of what comes behind them. */
#include "cli/import_chart.h"

#include <stdio.h>

#include "cli/import_tally.h"
#include "cli/import_text.h"
#include "cli/svg_text.h"

/* The picture, in its own units. */
#define WIDTH      1240
#define LEFT       112 /* of the first box */
#define BOX        200
#define GAP        24
#define LINE       16
#define BOX_HEAD   40 /* the box's name and its first line of operators, to the baseline */
#define BOX_FOOT   12
#define ROW_GAP    56 /* for what leads from row to row */
#define TEXT_CHARS 26 /* of a line in a box */
#define COLUMNS    5

typedef struct picture {
    const qr_import_info *found;
    const qr__import_tally *tally;
    qr_buf *out;
    int y;           /* where the next row begins */
    int before_exit; /* y of the last row's lower edge; 0: there is none */
} picture;

/* One box of a row. */
typedef struct box {
    const char *name;
    const qr__import_cell *cell;
    const char *class;
} box;

static int column_x(int column) {
    return LEFT + column * (BOX + GAP);
}

static void label(const picture *p, int x, int y, const char *class, const char *text) {
    qr_buf_printf(p->out, "<text class=\"%s\" x=\"%d\" y=\"%d\">", class, x, y);
    qr__svg_text(p->out, qr_text_of(text));
    qr_buf_literal(p->out, "</text>\n");
}

/* Text in a box */

/* Operators separated by commas, in lines of TEXT_CHARS; draws them from (x, y) on, or with x 0
 * only counts lines. */
static int write_ops(const picture *p, const qr__import_cell *cell, int x, int y) {
    char line[96] = "";
    int lines = 0;
    for (size_t i = 0; i < cell->kinds; i++) {
        char word[48];
        const bool last = i + 1 == cell->kinds;
        snprintf(word, sizeof word, "%.24s \u00d7%zu%s", cell->ops[i].name, cell->ops[i].count,
                 last ? "" : ",");
        if (line[0] != '\0' && strlen(line) + 1 + strlen(word) > TEXT_CHARS + 2) {
            if (x > 0)
                label(p, x, y + LINE * lines, "ops", line);
            lines++;
            line[0] = '\0';
        }
        const size_t used = strlen(line);
        snprintf(line + used, sizeof line - used, "%s%s", used > 0 ? " " : "", word);
    }
    if (line[0] != '\0' && x > 0)
        label(p, x, y + LINE * lines, "ops", line);
    return lines + (line[0] != '\0');
}

static int row_height(const picture *p, const box *boxes, size_t count) {
    int most = 1;
    for (size_t i = 0; i < count; i++)
        if (boxes[i].cell != NULL) {
            int lines = write_ops(p, boxes[i].cell, 0, 0);
            most = lines > most ? lines : most;
        }
    return BOX_HEAD + LINE * (most - 1) + BOX_FOOT;
}

static void draw_box(const picture *p, const box *one, int column, int height) {
    const int x = column_x(column);
    char count[48];
    if (one->cell == NULL)
        return;
    qr_buf_printf(p->out,
                  "<rect class=\"box %s%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
                  "rx=\"6\"/>\n",
                  one->class, one->cell->nodes == 0 ? " none" : "", x, p->y, BOX, height);
    label(p, x + 12, p->y + 22, "name", one->name);
    snprintf(count, sizeof count, "%zu", one->cell->nodes);
    label(p, x + BOX - 12, p->y + 22, "count end", count);
    if (write_ops(p, one->cell, x + 12, p->y + BOX_HEAD) == 0)
        label(p, x + 12, p->y + BOX_HEAD, "ops", "no node of its own");
}

/* Arrows */

static void arrow(const picture *p, const char *class, const char *path) {
    qr_buf_printf(p->out, "<path class=\"way %s\" marker-end=\"url(#tip)\" d=\"%s\"/>\n", class,
                  path);
}

static void arrow_between(const picture *p, int column, int height) {
    char path[64];
    snprintf(path, sizeof path, "M%d %dh%d", column_x(column) + BOX, p->y + height / 2, GAP - 3);
    arrow(p, "", path);
}

/* From below a box of the row before, through the gap, onto a box of this row. */
static void arrow_down(const picture *p, const char *class, int from_x, int to_x, int lane) {
    char path[96];
    const int turn = p->y - 26 + lane;
    snprintf(path, sizeof path, "M%d %dV%dH%dV%d", from_x, p->before_exit, turn, to_x, p->y - 3);
    arrow(p, class, path);
}

/* Rows */

static unsigned ways_of(const picture *p, size_t first, size_t end) {
    unsigned ways = ~0u;
    for (size_t layer = first; layer < end; layer++)
        ways &= p->tally->ways[layer];
    return ways;
}

static void draw_layer_arrows(const picture *p, size_t first, unsigned ways, int height) {
    static const unsigned chain[] = {QR_WAY_QKV_ATTENTION, QR_WAY_ATTENTION_AO, QR_WAY_AO_UP,
                                     QR_WAY_UP_DOWN};
    const bool fused = qr__import_cell_of(p->tally, QR_IMPORT_QKV, first)->nodes == 0;
    const int from = first == 0 ? column_x(0) + BOX / 2 : column_x(4) + BOX / 2;
    char path[96];
    for (int i = 0; i < 4; i++)
        if ((ways & chain[i]) != 0)
            arrow_between(p, i, height);
    if ((ways & QR_WAY_ENTERS) != 0)
        arrow_down(p, "", from, column_x(fused) + BOX / 2, 0);
    if ((ways & QR_WAY_ENTERS_RESIDUAL) != 0)
        arrow_down(p, "residual", from, column_x(2) + BOX / 2, 0);
    if ((ways & QR_WAY_MASK_ATTENTION) != 0) {
        snprintf(path, sizeof path, "M%d %dv%d", column_x(2) - GAP - 30, p->y - 18, 15);
        arrow(p, "mask", path);
        label(p, column_x(2) - GAP - 36, p->y - 8, "note end", "mask");
    }
    if ((ways & QR_WAY_AO_DOWN) != 0) {
        snprintf(path, sizeof path, "M%d %dv12H%dv-9", column_x(2) + BOX / 2, p->y + height,
                 column_x(4) + BOX / 2 - 40);
        arrow(p, "residual", path);
        label(p, column_x(3) + BOX / 2, p->y + height + 26, "note middle", "residual");
    }
}

/* Layers `first` to `end` - 1, which are alike. */
static void draw_layers(picture *p, size_t first, size_t end) {
    static const char *const names[COLUMNS] = {"query, key, value", "attention", "output + norm",
                                               "up + activation", "down + norm"};
    box boxes[COLUMNS];
    char text[64];
    for (unsigned i = 0; i < COLUMNS; i++)
        boxes[i] = (box){names[i],
                         qr__import_cell_of(p->tally, (qr_import_block)(QR_IMPORT_QKV + i), first),
                         "step"};
    const int height = row_height(p, boxes, COLUMNS);
    if (end - first == 1)
        snprintf(text, sizeof text, "layer %zu", first);
    else
        snprintf(text, sizeof text, "layers %zu\u2013%zu", first, end - 1);
    label(p, 16, p->y + 22, "name", text);
    if (end - first > 1) {
        snprintf(text, sizeof text, "\u00d7 %zu, all alike", end - first);
        label(p, 16, p->y + 40, "note", text);
    }
    for (int i = 0; i < COLUMNS; i++)
        draw_box(p, &boxes[i], i, height);
    draw_layer_arrows(p, first, ways_of(p, first, end), height);
    p->before_exit = p->y + height;
    p->y += height + ROW_GAP;
}

static void draw_before(picture *p) {
    const qr__import_cell *mask = qr__import_cell_of(p->tally, QR_IMPORT_MASK, 0);
    const box boxes[COLUMNS] = {
        {"embeddings", qr__import_cell_of(p->tally, QR_IMPORT_EMBEDDINGS, 0), "step"},
        {"attention mask", mask->nodes > 0 ? mask : NULL, "step"},
        {NULL, NULL, NULL},
        {"only shapes", qr__import_cell_of(p->tally, QR_IMPORT_SHAPES, 0), "side"},
        {"constants", qr__import_cell_of(p->tally, QR_IMPORT_CONSTANT, 0), "side"},
    };
    const int height = row_height(p, boxes, COLUMNS);
    label(p, 16, p->y + 22, "name", "before");
    for (int i = 0; i < COLUMNS; i++)
        draw_box(p, &boxes[i], i, height);
    p->before_exit = p->y + height;
    p->y += height + ROW_GAP;
}

static void draw_outputs(picture *p) {
    char text[256];
    int y = p->y;
    label(p, column_x(3), y + 22, "name", "outputs");
    for (size_t i = 0; i < p->found->output_count && i < 16; i++) {
        snprintf(text, sizeof text, "%.60s: %s", p->found->outputs[i].name,
                 qr__import_output_text(p->found->outputs[i].kind));
        y += LINE + 2;
        label(p, column_x(3), y + 24, "ops", text);
    }
    if (p->found->output_count > 16) {
        snprintf(text, sizeof text, "and %zu more", p->found->output_count - 16);
        y += LINE + 2;
        label(p, column_x(3), y + 24, "ops", text);
    }
    p->y = y + 48;
}

static void draw_behind(picture *p) {
    static const struct {
        const char *name;
        qr_import_block block;
        const char *class;
    } all[] = {{"head", QR_IMPORT_HEAD, "step"},
               {"pooling", QR_IMPORT_POOLING, "step"},
               {"not served", QR_IMPORT_LEFT_OUT, "side"}};
    box boxes[3];
    int count = 0;
    for (size_t i = 0; i < 3; i++) {
        const qr__import_cell *cell = qr__import_cell_of(p->tally, all[i].block, 0);
        if (cell->nodes > 0)
            boxes[count++] = (box){all[i].name, cell, all[i].class};
    }
    const int height = count > 0 ? row_height(p, boxes, (size_t)count) : 0, top = p->y;
    label(p, 16, p->y + 22, "name", "behind");
    for (int i = 0; i < count; i++)
        draw_box(p, &boxes[i], i, height);
    if (p->tally->layers > 0 && (p->tally->ways[p->tally->layers - 1] & QR_WAY_LEAVES) != 0)
        arrow_down(p, "", column_x(4) + BOX / 2, column_x(0) + BOX / 2, 0);
    draw_outputs(p);
    if (p->y < top + height + 24)
        p->y = top + height + 24;
}

/* Head */

static void draw_head(picture *p, const char *note) {
    const qr_import_info *found = p->found;
    char text[512], nodes[QR_IMPORT_NODES_TEXT];
    int used = 0;
    label(p, 16, 34, "title", found->path);
    snprintf(text, sizeof text, "%s (opset %jd)", found->style, (intmax_t)found->opset);
    label(p, 16, 56, "", text);
    qr__import_nodes_text(found, nodes);
    snprintf(text, sizeof text, "%s \u2192 %zu fused steps", nodes, found->steps);
    label(p, 16, 78, "name", text);
    for (size_t i = 0; i < found->input_count && used >= 0 && (size_t)used < sizeof text; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%.60s (%s)",
                         i == 0 ? "inputs: " : ", ", found->inputs[i].name, found->inputs[i].kind);
    label(p, 16, 98, "", text);
    label(p, 16, 118, "", note);
    p->y = 142;
}

static const char style[] =
    "<style>"
    "text{font-family:system-ui,sans-serif;font-size:12px;fill:#4a5b6c}"
    ".title{font-size:17px;font-weight:600;fill:#12293f}"
    ".name{font-size:13px;font-weight:600;fill:#12293f}.count{font-weight:600;fill:#2b6cb0}"
    ".note{font-size:11px}.end{text-anchor:end}.middle{text-anchor:middle}"
    ".ground{fill:#f7f8fa}.box{fill:#fff;stroke:#24425f;stroke-width:1.3}"
    ".side{fill:#eef1f4;stroke:#8fa6bd;stroke-dasharray:4 3}.none{stroke-dasharray:2 3}"
    ".way{fill:none;stroke:#24425f;stroke-width:1.5}.residual{stroke:#2f7d4f}.mask{stroke:#b5482a}"
    ".tip{fill:#24425f}"
    "@media(prefers-color-scheme:dark){"
    "text{fill:#b4c2d0}.title,.name{fill:#eef4fa}.count{fill:#7db4ee}"
    ".ground{fill:#12181f}.box{fill:#1c2630;stroke:#8fb0d0}.side{fill:#161e26;stroke:#5c7083}"
    ".way{stroke:#8fb0d0}.residual{stroke:#74c596}.mask{stroke:#e58d6f}.tip{fill:#8fb0d0}}"
    "</style>\n"
    "<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"6\" refY=\"4\" markerWidth=\"7\" "
    "markerHeight=\"7\" orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 "
    "8z\"/></marker></defs>\n";

static void draw_body(picture *p, const char *note) {
    draw_head(p, note);
    draw_before(p);
    for (size_t first = 0, end; first < p->tally->layers; first = end) {
        end = first + 1;
        while (end < p->tally->layers && qr__import_layers_alike(p->tally, first, end))
            end++;
        draw_layers(p, first, end);
    }
    draw_behind(p);
}

qr_status qr__import_chart_svg(const qr__import_chart *chart, qr_buf *out, qr_error *error) {
    qr__import_tally *tally = qr__import_tally_create(chart->found);
    qr_buf body;
    if (tally == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a picture");
    qr_buf_init(&body, out->max_bytes);
    picture p = {.found = chart->found, .tally = tally, .out = &body};
    draw_body(&p, chart->note);
    qr_buf_printf(out,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\">\n"
                  "<title>",
                  WIDTH, p.y);
    qr__svg_text(out, qr_text_of(chart->found->path));
    qr_buf_literal(out, "</title>\n");
    qr_buf_literal(out, style);
    qr_buf_printf(out, "<rect class=\"ground\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", WIDTH,
                  p.y);
    qr_buf_text(out, qr_buf_contents(&body));
    qr_buf_literal(out, "</svg>\n");
    bool failed = qr_buf_failed(&body) || qr_buf_failed(out);
    qr_buf_deinit(&body);
    qr__import_tally_destroy(tally);
    return failed ? qr_error_set(error, QR_NO_MEMORY, "no memory for a picture") : QR_OK;
}
