/* cli/cli.h: the entry points of querent's commands, one file each; main.c picks one.
 *
 * Each takes the arguments behind its own name ("querent embed --model X" calls qr_cli_embed(2,
 * {"--model", "X"})), prints help for --help, and returns the process's exit code.
 */
#ifndef QR_CLI_H
#define QR_CLI_H

#define QR_EXIT_OK    0
#define QR_EXIT_FAULT 1 /* at work: said on stderr */
#define QR_EXIT_USAGE 2 /* of the command line: said on stderr, with where help is */

/** Answers queries over HTTP until SIGTERM. */
int qr_cli_serve(int argc, char **argv);

/** Lines on stdin, vectors on stdout. */
int qr_cli_embed(int argc, char **argv);

/** Questions and contexts as JSON lines on stdin, answers on stdout. */
int qr_cli_span(int argc, char **argv);

/** Lines on stdin, tokens on stdout. */
int qr_cli_tokenize(int argc, char **argv);

/** What a model is, and how this machine would run it. */
int qr_cli_inspect(int argc, char **argv);

/** A model as a directory of safetensors. */
int qr_cli_convert(int argc, char **argv);

/** Measures a model on this machine. */
int qr_cli_bench_engine(int argc, char **argv);

/** Measures a running server. */
int qr_cli_bench_http(int argc, char **argv);

/** Asks a running server whether it is ready. */
int qr_cli_health(int argc, char **argv);

/** Says what a server would do with a load. */
int qr_cli_simulate(int argc, char **argv);

/** Prints the version. */
int qr_cli_version(int argc, char **argv);

#endif
