"""`make install`: what is there, that compilers find it, and that nothing but qr_lib_ is visible."""
import os
import re
import shutil

import pytest
from library_tool import run
from program import BINARY, HANG, ROOT

HEADER = (ROOT / "include/querent.h").read_text(encoding="utf-8")
FUNCTIONS = set(re.findall(r"^QR_LIB_(?:MUST_USE QR_LIB_)?API\b[^;(]*?\b(qr_lib_\w+)\(", HEADER, re.M))
EXAMPLE = ROOT / "examples/library.c"
QUESTION = "how tall is mount everest"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]


def test_all_that_a_user_needs_is_there(installed):
    there = {str(path.relative_to(installed.prefix)) for path in installed.prefix.rglob("*") if not path.is_dir()}
    lib = installed.lib.relative_to(installed.prefix)
    assert {"bin/querent", "include/querent.h", f"{lib}/libquerent.a", f"{lib}/libquerent.so", f"{lib}/libquerent.so.0",
            f"{lib}/pkgconfig/querent.pc", f"{lib}/cmake/querent/querentConfig.cmake"} <= there
    version = run(installed.prefix / "bin/querent", "version").split()[1]
    assert f"{lib}/libquerent.so.{version}" in there
    assert f"Version: {version}\n" in installed.pc.read_text()


def defined(*command):
    return {line.split()[2].split("@")[0] for line in run(*command).splitlines() if re.match(r"[0-9a-f]+ [A-Za-z] ", line)}


def test_the_shared_library_shows_qr_lib_alone(installed):
    shown = defined("nm", "-D", "--defined-only", installed.lib / "libquerent.so")
    assert shown - {"QUERENT_1"} == FUNCTIONS and len(FUNCTIONS) == 12


def test_the_static_library_shows_qr_lib_alone(installed):
    assert defined("nm", "-g", "--defined-only", installed.lib / "libquerent.a") == FUNCTIONS


def test_man_pages_know_every_option(installed):
    if shutil.which("scdoc") is None:
        pytest.skip("scdoc is not installed")
    page = (installed.prefix / "share/man/man1/querent.1").read_text()
    for command in ("serve", "embed", "span", "tokenize", "inspect", "bench engine", "bench http", "simulate"):
        options = re.findall(r"^  (--[a-z0-9-]+)", run(BINARY, *command.split(), "--help"), re.M)
        section = page.partition(f'querent {command}\n')[2].partition(".SS")[0].replace("\\-", "-")
        assert options and all(f"\\fB{option}\\fR" in section for option in options), command
    assert "qr_lib_embed" in (installed.prefix / "share/man/man3/querent.h.3").read_text()


def test_what_is_linked_is_what_is_named(installed, pkg_config):
    """Who links the static library finds every name: `pkg-config --static` and CMake's file say where."""
    libraries = pkg_config("--static", "--libs")
    config = (installed.lib / "cmake/querent/querentConfig.cmake").read_text()
    for name in ("jansson", "xxhash", "protobuf-c", "openblas"):
        assert f"-l{name}" in libraries and f"-l{name}" in config
    undefined = set(re.findall(r" U (\w+)", run("nm", installed.lib / "libquerent.a")))
    assert not [name for name in undefined if name.startswith("qr_")]
    assert {name for name in undefined if name.startswith("protobuf_c_")}


def run_example(program, installed, minilm, squad):
    out = run(program, minilm, squad, QUESTION, env={**os.environ, "LD_LIBRARY_PATH": str(installed.lib)}, timeout=10 * HANG)
    lines = out.splitlines()
    assert len(lines) == 4
    assert max(lines[:3]).endswith("between Nepal and Tibet.")
    assert lines[3].endswith("  8,849 metres")
    return out


def test_the_example_builds_and_runs(installed, pkg_config, minilm, squad, tmp_path):
    run("cc", "-std=c11", *WARNINGS, EXAMPLE, *pkg_config("--cflags", "--libs"), "-o", tmp_path / "library")
    run_example(tmp_path / "library", installed, minilm, squad)


def test_the_example_links_statically(installed, pkg_config, minilm, squad, tmp_path):
    """A program's own functions may be called as ours are inside."""
    own = tmp_path / "own.c"
    own.write_text("void qr_log(void);\nvoid qr_log(void) {}\nint qr_pipeline_load(void);\nint qr_pipeline_load(void) { return 7; }\n")
    libraries = pkg_config("--static", "--libs")
    at = libraries.index("-lquerent")
    libraries[at : at + 1] = ["-Wl,-Bstatic", "-lquerent", "-Wl,-Bdynamic"]
    run("cc", "-std=c11", EXAMPLE, own, *pkg_config("--cflags"), *libraries, "-o", tmp_path / "library")
    assert "libquerent" not in run("ldd", tmp_path / "library")
    run_example(tmp_path / "library", installed, minilm, squad)


@pytest.mark.parametrize("target", ["querent", "querent_static"])
def test_cmake_finds_it(installed, minilm, squad, tmp_path, target):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(example LANGUAGES C)\nfind_package(querent 0.1 REQUIRED)\n"
        f"add_executable(library {EXAMPLE})\ntarget_link_libraries(library PRIVATE querent::{target})\n"
    )
    run("cmake", "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={installed.prefix}")
    run("cmake", "--build", tmp_path / "build")
    run_example(tmp_path / "build/library", installed, minilm, squad)


@pytest.mark.parametrize("standard", ["c++11", "c++20"])
def test_the_header_is_c_plus_plus_too(installed, pkg_config, tmp_path, standard):
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    source = tmp_path / "main.cpp"
    source.write_text(
        "#include <querent.h>\n#include <cstdio>\nint main() {\n    qr_lib_model *model = nullptr;\n    qr_lib_error error;\n"
        "    qr_lib_load_options options = {};\n    options.struct_size = sizeof options;\n"
        '    if (qr_lib_model_load("/nowhere", &options, &model, &error) != QR_LIB_BAD_MODEL || model != nullptr)\n        return 1;\n'
        "    std::puts(error.message);\n    return 0;\n}\n"
    )
    run("g++", f"-std={standard}", *WARNINGS, source, *pkg_config("--cflags", "--libs"), "-o", tmp_path / "main")
    assert "/nowhere" in run(tmp_path / "main", env={**os.environ, "LD_LIBRARY_PATH": str(installed.lib)})


def test_the_header_is_self_contained(installed, pkg_config, tmp_path):
    for standard in ("c99", "c11", "c17"):
        (tmp_path / "alone.c").write_text("#include <querent.h>\nint main(void) { return 0; }\n")
        run("cc", f"-std={standard}", *WARNINGS, "-c", tmp_path / "alone.c", *pkg_config("--cflags"), "-o", tmp_path / "alone.o")


def test_the_examples_of_the_pages_compile(installed, pkg_config, tmp_path):
    """The header's, the manual's, and LIBRARY.md's, whose model is loaded already: no result is dropped."""
    header = re.search(r"(?: \*     .*\n)+", HEADER)[0].replace(" *     ", "    ")
    manual = re.search(r"# EXAMPLES\n\n```\n(.*?)```", (ROOT / "docs/man/querent.h.3.scd").read_text(), re.S)[1]
    page = re.search(r"## A call is a whole job\n\n((?:    .*\n)+)", (ROOT / "docs/LIBRARY.md").read_text())[1]
    page = "    qr_lib_model *model = NULL;\n    qr_lib_error error;\n" + page
    for example in (header, manual, page):
        assert "qr_lib_embed(" in example
        (tmp_path / "example.c").write_text(f"#include <querent.h>\n#include <stdio.h>\nvoid example(void) {{\n{example}}}\n")
        run("cc", "-std=c11", *WARNINGS, "-Wno-missing-prototypes", "-c", tmp_path / "example.c", *pkg_config("--cflags"),
            "-o", tmp_path / "example.o")
