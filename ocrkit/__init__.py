"""ocrkit: the small module under the course.

One road: images and labels come in as a table (`load_samples`), a `Recognizer` reads them, the
readings go back into the same table, and `score` measures it.

The names below are imported when they are first used, so `import ocrkit` costs nothing and
works where an optional package is missing. `__init__.pyi` tells editors the same; `python -m tools.stub` writes it.
"""

import os
from importlib import import_module

# Threads of torch that wait for work spin by default, and take the processor from whatever else runs: with one
# more busy program on a 2-core laptop, training slows down tenfold. To sleep at once costs a fifth of the speed on
# an idle machine, so they spin for some microseconds first. Read once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

__version__ = "0.1.0"

#: What the package offers, room by room: name -> module. `dir(ocrkit)` lists these.
_LISTED = {
    "Tokenizer": "text.tokenizer",
    "align": "text.edits",
    "edit_distance": "text.edits",
    "fold": "text.persian",
    "load_samples": "data.samples",
    "assign_splits": "data.samples",
    "lint": "data.lint",
    "pack": "data.packed",
    "read_image": "data.images",
    "load_pages": "data.layouts.pages",
    "from_datasets": "data.layouts.hub",
    "to_datasets": "data.layouts.hub",
    "export_imagefolder": "data.layouts.hub",
    "unpack": "data.layouts.archives",
    "check": "data.exercises",
    "greedy_decode": "ctc.greedy",
    "beam_decode": "ctc.beam",
    "Lexicon": "ctc.lexicon",
    "lexicon_decode": "ctc.lexicon",
    "Pattern": "ctc.pattern",
    "pattern_decode": "ctc.pattern",
    "make_decoder": "ctc.decoding",
    "confidences": "ctc.confidence",
    "forced_alignment": "ctc.alignment",
    "CRNN": "reader.crnn",
    "Recognizer": "reader.recognizer",
    "Hooks": "reader.hooks",
    "receptive_field": "maps.receptive_fields",
    "summary": "reader.shapes",
    "score": "errors.metrics",
    "score_by": "errors.metrics",
    "accuracy": "errors.metrics",
    "cer": "errors.metrics",
    "confusions": "errors.confusions",
    "most_confused": "errors.confusions",
    "confusion_matrix": "errors.confusions",
    "label_losses": "errors.suspects",
    "likely_mislabelled": "errors.suspects",
    "slices": "errors.suspects",
    "report": "errors.report",
    "examine": "errors.clinic",
    "ErrorBrowser": "errors.browser.browser",
    "reliability": "errors.calibration",
    "expected_calibration_error": "errors.calibration",
    "fit_temperature": "errors.calibration",
    "threshold_for": "errors.calibration",
    "Recipe": "training.recipe",
    "fit": "training.loop",
    "lr_find": "training.rates",
    "overfit_one_batch": "training.rates",
    "CenterLoss": "training.centers",
    "grad_cam": "maps.cam",
    "hires_cam": "maps.cam",
    "character_maps": "maps.cam",
    "deletion_insertion": "maps.checks",
    "MapExplorer": "maps.explorer",
    "render_plate": "synth",
    "render_plates": "synth",
    "render_lines": "synth",
    "render_name": "synth",
    "render_names": "synth",
    "render_glyph": "synth",
    "render_glyphs": "synth",
    "render_letters": "synth",
    "load_model": "tasks.load",
    "GlyphClassifier": "tasks.glyphs.classifier",
    "fit_glyphs": "tasks.glyphs.training",
    "FieldDetector": "tasks.letters.detector",
    "LetterReader": "tasks.letters.reader",
    "parse_jalali": "tasks.letters.dates",
}
#: What is needed more rarely; it works as `ocrkit.NAME` too.
_MORE = {
    "count_flops": "reader.shapes",
    "measure_steps": "training.speed",
    "to_logical": "text.reading_order",
    "to_visual": "text.reading_order",
    "image_facts": "errors.measures",
    "near_duplicates": "data.duplicates",
    "CharacterNgram": "ctc.lexicon",
    "Choice": "ctc.candidates",
    "beam_candidates": "ctc.beam",
    "Hook": "reader.hooks",
    "observed": "reader.hooks",
    "tolerances": "errors.tolerances",
    "by_position": "errors.metrics",
    "by_class": "errors.classes",
    "score_classes": "errors.classes",
    "confidently_wrong": "errors.suspects",
    "top_losses": "errors.suspects",
    "accept_reject": "errors.calibration",
    "aurc": "errors.calibration",
    "calibration_error_interval": "errors.calibration",
    "apply_changes": "errors.browser.marks",
    "open_shards": "training.shards",
    "shard_batches": "training.shards",
    "packed_shards": "training.shards",
    "write_shards": "training.shards",
    "largest_batch": "training.memory",
    "accelerator": "training.processes",
    "AlignedLoss": "training.centers",
    "align_features": "training.centers",
    "alignment_report": "training.centers",
    "Tracker": "training.center_tracking",
    "center_distances": "training.center_tracking",
    "activation_map": "maps.cam",
    "class_target": "maps.targets",
    "grad_cam_plus_plus": "maps.cam",
    "occlusion_map": "maps.cam",
    "text_target": "maps.targets",
    "top_patches": "maps.cam",
    "randomized_check": "maps.checks",
    "ctc_frames": "maps.pictures",
    "maps_html": "maps.pictures",
    "overlay": "maps.pictures",
    "map_button": "maps.explorer",
    "render_line": "synth",
    "render_characters": "synth",
    "render_dates": "synth",
    "render_words": "synth",
    "render_letter": "synth",
    "lr_find_glyphs": "tasks.glyphs.training",
    "evaluate_fields": "tasks.letters.scores",
    "ClassicalReader": "tasks.letters.classical",
    "match_template": "tasks.letters.templates",
    "score_letters": "tasks.letters.scores",
    "fit_detector": "tasks.letters.detector_training",
}
_HOME = _LISTED | _MORE
__all__ = sorted(_LISTED)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
