/* server/memory_room.h: what memory there is, and what loading a model takes of it; whether a
 * second copy fits.
 *
 *     const qr__memory_load load = {.model = qr_model_get_info(model), .precision = ...};
 *     need_bytes = qr__memory_room_need(&load);
 *     qr__memory_room room;
 *     if (qr__memory_room_read("", &room))
 *         status = qr__memory_room_check(&room, name, need_bytes, &error);
 *
 * What is free is the least of MemAvailable and, for each of the process's memory cgroups (v1 and
 * v2), its maximum less what it uses, inactive pages of files not counted. Threads: any.
 */
#ifndef QR_SERVER_MEMORY_ROOM_H
#define QR_SERVER_MEMORY_ROOM_H

#include "pipeline/pipeline.h"

/** A memory cgroup with a maximum. */
typedef struct qr__memory_group {
    uint64_t max_bytes;
    uint64_t firm_bytes; /* of it are used, and cannot be given back as pages of files can */
    const char *limit;   /* static text: the maximum's name; NULL: there is no such group */
} qr__memory_group;

typedef struct qr__memory_room {
    uint64_t free_bytes;
    const char *limit;         /* static text: what leaves no more */
    uint64_t group_bytes;      /* the least maximum of a cgroup; 0: none */
    qr__memory_group tightest; /* the group that leaves least */
} qr__memory_room;

/** Reads /proc and /sys/fs/cgroup below `root` ("" is the system's). False: they tell nothing. */
QR_MUST_USE bool qr__memory_room_read(const char *root, qr__memory_room *out);

/** QR_NO_MEMORY, with both numbers, when `need_bytes` are not free. */
QR_MUST_USE qr_status qr__memory_room_check(const qr__memory_room *room, const char *name,
                                            uint64_t need_bytes, qr_error *error);

/** How a model will be loaded. */
typedef struct qr__memory_load {
    const qr_model_info *model; /* borrowed */
    qr_precision precision;     /* as it is asked for */
    size_t graph_bytes;         /* of the model's ONNX files, 0: it has none */
    size_t workers;             /* each with a workspace */
    size_t tokens;              /* of a workspace */
    bool accepted;              /* count on the gate's taking the first plan that it tries */
    bool away;                  /* packings and workspaces are in a device's own memory */
} qr__memory_load;

/** What the load will take at its peak: docs/SERVER.md says of what that is the sum. At the most,
 * unless the gate is counted on. UINT64_MAX: more than can be counted. */
uint64_t qr__memory_room_need(const qr__memory_load *load);

/** What is kept of it when it is loaded, in the same way. */
uint64_t qr__memory_room_stay(const qr__memory_load *load);

/** What reading ONNX files of so many bytes takes, which comes before there are other facts. */
uint64_t qr__memory_room_graph(size_t graph_bytes);

#endif
