"""LangChain against querent: langchain-openai's embeddings in a vector store.

    python3 langchain_client.py http://127.0.0.1:8080
"""
import sys

from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings

TEXTS = ["Mount Everest is 8,849 metres tall.", "The Danube flows into the Black Sea.", "Bread is baked from flour."]


def main(url):
    # Without check_embedding_ctx_length=False the client would send the token ids of OpenAI's tokenizer,
    # which mean other words to a BERT model.
    embeddings = OpenAIEmbeddings(base_url=url + "/v1", api_key="none", model="minilm", check_embedding_ctx_length=False)
    store = InMemoryVectorStore.from_texts(TEXTS, embeddings)
    for query in ("how tall is mount everest", "which river ends in a sea"):
        document, score = store.similarity_search_with_score(query, k=1)[0]
        print(f"{query}: {document.page_content} ({score:.3f})")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")
