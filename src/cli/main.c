/* cli/main.c: `querent COMMAND ...`: one table of commands, one way in. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "engine/engine.h"

#define HELP_MAX_BYTES (16u << 10)

typedef struct command {
    const char *name;
    const char *second; /* "engine" of "bench engine"; NULL for most */
    int (*run)(int argc, char **argv);
    const char *help;
} command;

static const command commands[] = {
    {"serve", NULL, qr_cli_serve, "answer queries over HTTP"},
    {"embed", NULL, qr_cli_embed, "lines in, one vector (JSON array) a line out"},
    {"span", NULL, qr_cli_span, "JSON lines {\"question\",\"context\"} in, answers out"},
    {"tokenize", NULL, qr_cli_tokenize,
     "lines in, JSON lines {\"ids\",\"tokens\",\"offsets\"} out"},
    {"inspect", NULL, qr_cli_inspect, "what a model is, costs and how it would run here"},
    {"convert", NULL, qr_cli_convert, "a model, ONNX too, as a directory of safetensors"},
    {"health", NULL, qr_cli_health, "ask a running server whether it is ready"},
    {"bench", "engine", qr_cli_bench_engine, "measure a model on this machine"},
    {"bench", "http", qr_cli_bench_http, "measure a running server"},
    {"simulate", NULL, qr_cli_simulate, "what the server would do with a load"},
    {"version", NULL, qr_cli_version, "print the version"},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static void write_help(qr_buf *out) {
    qr_buf_literal(out, "usage: querent COMMAND [options]\n\n"
                        "BERT models for queries: embeddings, rankings and answer spans.\n\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s%s%s", commands[i].name,
                 commands[i].second == NULL ? "" : " ",
                 commands[i].second == NULL ? "" : commands[i].second);
        qr_buf_printf(out, "  %-14s %s\n", name, commands[i].help);
    }
    qr_buf_literal(out, "\n`querent COMMAND --help` lists the options of a command.\n");
}

static int print_help(void) {
    qr_buf out;
    qr_buf_init(&out, HELP_MAX_BYTES);
    write_help(&out);
    bool written = qr__cli_write(&out);
    qr_buf_deinit(&out);
    return written ? QR_EXIT_OK : QR_EXIT_FAULT;
}

int qr_cli_version(int argc, char **argv) {
    static const qr__flag flags[] = {{0}};
    static const qr__command about = {"version", "Prints querent's version.", flags, NULL};
    int code = qr__flags_parse(&about, argc, argv, NULL);
    if (code != QR_FLAGS_GO)
        return code;
    qr_buf out;
    qr_buf_init(&out, HELP_MAX_BYTES);
    qr_buf_literal(&out, "querent " QR_VERSION "\n");
    bool written = qr__cli_write(&out);
    qr_buf_deinit(&out);
    return written ? QR_EXIT_OK : QR_EXIT_FAULT;
}

static const command *find(int argc, char **argv) {
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        if (commands[i].second == NULL || (argc > 2 && strcmp(argv[2], commands[i].second) == 0))
            return &commands[i];
    }
    return NULL;
}

static bool is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* What is opened next would get a closed one's number, and lines for stderr would go into it. Reads
 * and writes of what stands in their place fail as on closed ones, so that nobody takes lost output
 * for written. */
static void fill_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            return;
}

/* A closed stdout, a vanished client, or a file (a log, a plan) that has grown to the limit of
 * `ulimit -f` is a failed write, never the end of the process. */
static void ignore_failed_writes(void) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "querent: no command\nTry `querent --help`.\n");
        return QR_EXIT_USAGE;
    }
    if (is_help(argv[1]) || (strcmp(argv[1], "bench") == 0 && argc > 2 && is_help(argv[2])))
        return print_help();
    if (strcmp(argv[1], "--version") == 0)
        return qr_cli_version(0, NULL);
    const command *chosen = find(argc, argv);
    if (chosen == NULL) {
        bool bench = strcmp(argv[1], "bench") == 0;
        fprintf(stderr, "querent: %s%s%s: %s\nTry `querent --help`.\n", argv[1],
                bench && argc > 2 ? " " : "", bench && argc > 2 ? argv[2] : "",
                bench ? "must be `bench engine` or `bench http`" : "unknown command");
        return QR_EXIT_USAGE;
    }
    int used = chosen->second == NULL ? 2 : 3;
    return chosen->run(argc - used, argv + used);
}

int main(int argc, char **argv) {
    fill_standard_streams();
    ignore_failed_writes();
    qr_json_guard_memory();
    int code = run(argc, argv);
    if (qr_device_hangs()) {
        fflush(NULL);
        _exit(code);
    }
    return code;
}
