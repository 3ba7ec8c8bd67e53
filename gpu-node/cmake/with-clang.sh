#!/bin/sh
# Compiles with another compiler than CMake's: with-clang.sh CLANG -x LANGUAGE COMPILER [argument...]
clang=$1
language=$3
shift 4
exec "$clang" -x "$language" -Wno-unknown-warning-option "$@"
