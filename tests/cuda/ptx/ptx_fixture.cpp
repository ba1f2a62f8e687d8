#include "ptx_fixture.h"
#include <cstring>

std::string ptx_text(const std::string &body, const std::string &target) {
    return "//\n// written by hand\n//\n.version 9.0\n.target " + target +
           "\n.address_size 64\n"
           ".extern .shared .align 128 .b8 qr_shared[];\n"
           ".visible .entry k(\n\t.param .align 8 .b8 k_param_0[24]\n)\n"
           ".maxntid 32, 1, 1\n{\n"
           "\t.reg .pred \t%p<9>;\n\t.reg .b16 \t%rs<9>;\n\t.reg .f32 \t%f<33>;\n"
           "\t.reg .b32 \t%r<65>;\n\t.reg .b64 \t%rd<9>;\n"
           "\tld.param.u64 \t%rd1, [k_param_0];\n"
           "\tld.param.u64 \t%rd2, [k_param_0+8];\n"
           "\tld.param.v2.u32 \t{%r2, %r3}, [k_param_0+16];\n"
           "\tmov.u32 \t%r1, %tid.x;\n"
           "\tmul.wide.u32 \t%rd3, %r1, 16;\n"
           "\tadd.s64 \t%rd4, %rd2, %rd3;\n"
           "\tadd.s64 \t%rd3, %rd1, %rd3;\n" +
           body + "\n\tret;\n\n}\n";
}

void ptx_test::run() {
    memset(to.data, 0, to.bytes);
    emulator::launch_config c = config();
    c.programmatic = false;
    emulator::grid(c, &args).finish();
}

static const char *body_of_child;

void ptx_dies(const char *body, const char *expected) {
    body_of_child = body;
    dies(body, expected, [] { ptx_test(body_of_child).run(); });
}
