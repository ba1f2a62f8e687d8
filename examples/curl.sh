#!/usr/bin/env bash
# querent with curl: examples/curl.sh http://127.0.0.1:8080 (a server that `make run` has started)
set -euo pipefail
url=${1:-http://127.0.0.1:8080}
post() { curl -sS --fail-with-body -H 'Content-Type: application/json' -d "$2" "$url$1" && echo; }

echo "# is it ready?"
curl -sS -o /dev/null -w '%{http_code}\n' "$url/health"

echo "# text-embeddings-inference's routes: a vector, cut to 8 numbers"
post /embed '{"inputs": "how tall is mount everest", "dimensions": 8}'

echo "# OpenAI's"
post /v1/embeddings '{"model": "minilm", "input": "how tall is mount everest", "dimensions": 8}'

echo "# a span that answers a question"
post /span '{"inputs": {"question": "How tall is Mount Everest?",
    "context": "Mount Everest is 8,849 metres tall. It lies in the Himalayas."}}'

echo "# what a text is to the model"
post /tokenize '{"inputs": "tall"}'

echo "# a budget of 50 ms: 504 when it cannot be kept"
curl -sS -o /dev/null -w '%{http_code}\n' -H 'X-Request-Budget-Ms: 50' -H 'Content-Type: application/json' \
    -d '{"inputs": "how tall is mount everest"}' "$url/embed"
