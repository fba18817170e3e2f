"""The two main metrics as Hugging Face `evaluate` modules, for people whose tools speak that.

Both work without a network, on their own or together: `evaluate.combine([CharacterErrorRate(), ExactMatch()])`.
`evaluate.load` takes the path of this file and gives its first metric, which counts with jiwer. See notebook 04.
"""

try:
    import datasets
    import evaluate
    import jiwer
except ModuleNotFoundError as error:
    problem = "these metrics need the packages evaluate and jiwer: pip install evaluate jiwer"
    raise ModuleNotFoundError(problem, name=error.name) from error

from ocrkit.errors.metrics import accuracy, paired_texts

# jiwer strips white space from both ends unless it is told to split into characters only.
_CHARACTERS = jiwer.ReduceToListOfListOfChars()


def _described(metric: evaluate.Metric) -> evaluate.MetricInfo:
    text = datasets.Value("string")
    return evaluate.MetricInfo(
        description=type(metric).__doc__,
        citation="",
        inputs_description="predictions: N readings; references: N labels. Both are compared in NFC.",
        features=datasets.Features({"predictions": text, "references": text}),
    )


class CharacterErrorRate(evaluate.Metric):
    """`compute` returns `{"cer": ...}`: micro average, the sum of edits over the sum of reference lengths."""

    _info = _described

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        references, predictions = paired_texts(references, predictions)
        return {"cer": float(jiwer.cer(references, predictions, _CHARACTERS, _CHARACTERS))}


class ExactMatch(evaluate.Metric):
    """`compute` returns `{"exact_match": ...}`: the fraction of texts that are predicted without any error."""

    _info = _described

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        return {"exact_match": accuracy(references, predictions)}
