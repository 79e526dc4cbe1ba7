"""
Keep an object in a worker, and call its methods from here.
"""

from webworker_executor import WebWorkerExecutor


class Vocabulary:
    """Counts words; imagine that it took a minute to load."""

    def __init__(self, *words: str) -> None:
        self.counts = dict.fromkeys(words, 0)

    def read(self, text: str) -> int:
        """Count the known words of a text, and return how many there were."""
        found = [word for word in text.split() if word in self.counts]
        for word in found:
            self.counts[word] += 1
        return len(found)

    def most_common(self) -> str:
        """Return the word that was read most."""
        return max(self.counts, key=lambda word: self.counts[word])


with WebWorkerExecutor(max_workers=2) as executor:
    vocabulary = executor.actor(Vocabulary, "rose", "thorn")
    readings = [vocabulary.read(text) for text in ("a rose is a rose", "no rose without thorn")]
    print([reading.result() for reading in readings])
    print(vocabulary.most_common().result())
