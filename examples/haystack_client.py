"""Haystack against querent: documents into a store, and a pipeline that embeds a query and retrieves.

    python3 haystack_client.py http://127.0.0.1:8080
"""
import os
import sys

os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")

from haystack import Document, Pipeline
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import Secret

TEXTS = ["Mount Everest is 8,849 metres tall.", "The Danube flows into the Black Sea.", "Bread is baked from flour."]


def main(url):
    server = {"api_base_url": url + "/v1", "api_key": Secret.from_token("none"), "model": "minilm"}
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    documents = OpenAIDocumentEmbedder(**server, progress_bar=False).run([Document(content=text) for text in TEXTS])
    store.write_documents(documents["documents"])
    search = Pipeline()
    search.add_component("embedder", OpenAITextEmbedder(**server))
    search.add_component("retriever", InMemoryEmbeddingRetriever(document_store=store, top_k=1))
    search.connect("embedder.embedding", "retriever.query_embedding")
    for query in ("how tall is mount everest", "which river ends in a sea"):
        best = search.run({"embedder": {"text": query}})["retriever"]["documents"][0]
        print(f"{query}: {best.content} ({best.score:.3f})")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")
