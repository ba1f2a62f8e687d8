# Writes a page as C: cmake -DPAGE=x.html -DOUT=x_bytes.c -DNAME=qr__x -DHEADER=x.h -P EmbedPage.cmake
#
# NAME, NAME_len: the bytes; NAME_policy: a Content-Security-Policy that lets run what stands in the
# page's one <script> and one <style>, named by their SHA-256, and lets it ask its own server.
# (The page may ask nobody else, be framed by nobody, and send no form.)
cmake_minimum_required(VERSION 3.25)

# The 64 hexadecimal digits of a hash in base64: three bytes are four digits; of the last three the
# third is not there.
function(hash_to_base64 hex out)
    set(alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    set(text "")
    string(APPEND hex "00")
    foreach(at RANGE 0 60 6)
        string(SUBSTRING ${hex} ${at} 6 three)
        foreach(shift 18 12 6 0)
            math(EXPR digit "(0x${three} >> ${shift}) & 63")
            string(SUBSTRING ${alphabet} ${digit} 1 letter)
            string(APPEND text ${letter})
        endforeach()
    endforeach()
    string(SUBSTRING ${text} 0 43 text)
    set(${out} "${text}=" PARENT_SCOPE)
endfunction()

# The hash of what stands between <element> and </element>.
function(hash_of_element page element out)
    string(FIND "${page}" "<${element}>" begin)
    string(FIND "${page}" "</${element}>" end)
    if(begin LESS 0 OR end LESS begin)
        message(FATAL_ERROR "${PAGE}: no <${element}>")
    endif()
    string(LENGTH "<${element}>" tag)
    math(EXPR begin "${begin} + ${tag}")
    math(EXPR length "${end} - ${begin}")
    string(SUBSTRING "${page}" ${begin} ${length} content)
    string(SHA256 hex "${content}")
    hash_to_base64(${hex} base64)
    set(${out} ${base64} PARENT_SCOPE)
endfunction()

file(READ ${PAGE} page)
hash_of_element("${page}" script script)
hash_of_element("${page}" style style)
string(CONCAT policy "default-src 'none'; script-src 'sha256-${script}'; style-src 'sha256-${style}'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")

file(READ ${PAGE} hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n    " hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUT} "/* Made by cmake/EmbedPage.cmake; do not edit. */
#include \"${HEADER}\"

const unsigned char ${NAME}[] = {
    ${bytes}
};
const size_t ${NAME}_len = sizeof ${NAME};
const char ${NAME}_policy[] =
    \"${policy}\";
")
