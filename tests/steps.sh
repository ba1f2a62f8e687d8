# Sourced by tests/run-all and tests/check-long: named steps, each with its time, and at the end
# which of them failed.
#
#   step NAME COMMAND...    runs the command; after a failure the next step runs all the same
#   finish                  prints the result and ends the script with it

python=.venv/bin/python
pytest="$python -m pytest -q -p no:cacheprovider"
failed=()

step() {
    local name=$1 start=$SECONDS
    shift
    echo
    echo "=== $name"
    "$@" || failed+=("$name")
    echo "=== $name: $((SECONDS - start)) s"
}

finish() {
    echo
    if [ ${#failed[@]} -gt 0 ]; then
        printf 'FAILED: %s\n' "${failed[@]}"
        exit 1
    fi
    echo "all steps passed in $SECONDS s"
    exit 0
}
