"""huggingface_hub's InferenceClient against querent: vectors, and answers to questions.

    python3 hub_client.py http://127.0.0.1:8080
"""
import sys

from huggingface_hub import InferenceClient

PASSAGE = "Mount Everest is 8,849 metres tall. It lies in the Himalayas, between Nepal and Tibet."


def main(url):
    vectors = InferenceClient(model=url + "/embed").feature_extraction(["how tall is mount everest", PASSAGE])
    print(f"{vectors[0] @ vectors[1]:.3f}  {vectors.shape}")
    client = InferenceClient(model=url + "/span")
    for question in ("How tall is Mount Everest?", "Where does it lie?"):
        answer = client.question_answering(question, PASSAGE)
        print(f"{question} {answer.answer} ({answer.start} to {answer.end})")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080")
