#!/bin/sh
# fuzz/run.sh TARGET SECONDS: tries inputs on a fuzz program, and remembers them.
exec python3 -B "$(dirname "$0")/fuzz.py" "$@"
