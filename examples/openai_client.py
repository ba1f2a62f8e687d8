"""The openai client against querent: the base URL is all that changes.

    python3 openai_client.py http://127.0.0.1:8080
"""
import sys

from openai import OpenAI

QUERY = "how tall is mount everest"
TEXTS = ["Mount Everest is 8,849 metres tall.", "The Danube flows into the Black Sea.", "Bread is baked from flour."]


def main(url):
    client = OpenAI(base_url=url + "/v1", api_key="none")
    answer = client.embeddings.create(model="minilm", input=[QUERY, *TEXTS])  # base64 on the wire
    query, *vectors = [item.embedding for item in answer.data]
    for text, vector in zip(TEXTS, vectors):
        print(f"{sum(a * b for a, b in zip(query, vector)):.3f}  {text}")
    print(answer.usage.total_tokens, "tokens")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")
