/* The fake driver's captures and graphs: a graph is a list of steps, for we capture one stream. */
#include "fake_state.h"

#define CALL extern "C" __attribute__((visibility("default"))) qr__cu_result

CALL cuStreamBeginCapture_v2(qr__cu_stream stream, int mode) {
    FAKE_ENTER(CONTEXT);
    if (mode < 0 || mode > 2)
        return INVALID_VALUE;
    if (!driver().streams.has(stream) || stream->capturing || fake_capturing_to)
        return INVALID_HANDLE;
    stream->capturing = true;
    stream->invalid = false;
    stream->captured.clear();
    fake_capturing_to = stream;
    return OK;
}

/* Ends it in any case; that by another thread than began it is a fault of the driver's own mode. */
CALL cuStreamEndCapture(qr__cu_stream stream, qr__cu_graph *graph) {
    FAKE_ENTER(CONTEXT);
    *graph = nullptr;
    if (!driver().streams.has(stream) || !stream->capturing || fake_capturing_to != stream)
        return INVALID_VALUE;
    stream->capturing = false;
    fake_capturing_to = nullptr;
    if (stream->invalid)
        return CAPTURE_INVALIDATED;
    *graph = driver().graphs.make();
    (*graph)->steps.swap(stream->captured);
    return OK;
}

CALL cuGraphInstantiateWithFlags(qr__cu_exec *exec, qr__cu_graph graph, unsigned long long flags) {
    FAKE_ENTER(CONTEXT | WAITS);
    if (flags)
        return INVALID_VALUE;
    if (!driver().graphs.has(graph))
        return INVALID_HANDLE;
    *exec = driver().execs.make();
    (*exec)->steps = graph->steps;
    return OK;
}

CALL cuGraphUpload(qr__cu_exec exec, qr__cu_stream stream) {
    FAKE_ENTER(CONTEXT);
    return driver().execs.has(exec) && driver().streams.has(stream) ? OK : INVALID_HANDLE;
}

CALL cuGraphLaunch(qr__cu_exec exec, qr__cu_stream stream) {
    FAKE_ENTER(CONTEXT);
    if (!driver().execs.has(exec))
        return INVALID_HANDLE;
    if (fake_capturing_to == stream)
        return CAPTURE_UNSUPPORTED;
    int result = OK;
    for (size_t i = 0; i < exec->steps.size() && !result; i++)
        result = fake_add(stream, exec->steps[i]);
    return result;
}

CALL cuGraphDestroy(qr__cu_graph graph) {
    FAKE_ENTER(CONTEXT);
    return driver().graphs.destroy(graph) ? OK : INVALID_HANDLE;
}

CALL cuGraphExecDestroy(qr__cu_exec exec) {
    FAKE_ENTER(CONTEXT | WAITS);
    return driver().execs.destroy(exec) ? OK : INVALID_HANDLE;
}
