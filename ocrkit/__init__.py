"""ocrkit: the small module under the course.

One road: images and labels come in as a table (`load_samples`), a `Recognizer` reads them, the
readings go back into the same table, and `score` measures it.

The names below are imported when they are first used, so `import ocrkit` costs nothing and
works where an optional package is missing.
"""

import os
from importlib import import_module

# Threads of torch that wait for work spin by default, and take the processor from whatever else runs: with one
# more busy program on a 2-core laptop, training slows down tenfold. To sleep at once costs a fifth of the speed on
# an idle machine, so they spin for some microseconds first. Read once, when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

__version__ = "0.1.0"

_HOME = {
    "Tokenizer": "text.tokenizer",
    "align": "text.edits",
    "edit_distance": "text.edits",
    "to_logical": "text.reading_order",
    "to_visual": "text.reading_order",
    "fold": "text.persian",
    "tolerances": "errors.tolerances",
    "accuracy": "errors.metrics",
    "by_position": "errors.metrics",
    "cer": "errors.metrics",
    "score": "errors.metrics",
    "score_by": "errors.metrics",
    "by_class": "errors.classes",
    "score_classes": "errors.classes",
    "assign_splits": "data.samples",
    "load_samples": "data.samples",
    "export_imagefolder": "data.layouts.hub",
    "from_datasets": "data.layouts.hub",
    "to_datasets": "data.layouts.hub",
    "lint": "data.lint",
    "check": "data.exercises",
    "examine": "errors.clinic",
    "unpack": "data.layouts.archives",
    "confidently_wrong": "errors.suspects",
    "confusion_matrix": "errors.confusions",
    "confusions": "errors.confusions",
    "label_losses": "errors.suspects",
    "likely_mislabelled": "errors.suspects",
    "most_confused": "errors.confusions",
    "slices": "errors.suspects",
    "top_losses": "errors.suspects",
    "image_facts": "data.measures",
    "near_duplicates": "data.duplicates",
    "report": "errors.report",
    "read_image": "data.images",
    "render_plate": "synth",
    "render_plates": "synth",
    "render_line": "synth",
    "render_lines": "synth",
    "render_name": "synth",
    "render_names": "synth",
    "render_characters": "synth",
    "render_glyph": "synth",
    "render_glyphs": "synth",
    "render_dates": "synth",
    "render_words": "synth",
    "render_letter": "synth",
    "render_letters": "synth",
    "pack": "data.packed",
    "open_shards": "training.shards",
    "shard_batches": "training.shards",
    "packed_shards": "training.shard_files",
    "write_shards": "training.shard_files",
    "CRNN": "reader.crnn",
    "receptive_field": "reader.receptive_fields",
    "summary": "reader.shapes",
    "forced_alignment": "ctc.alignment",
    "greedy_decode": "ctc.greedy",
    "CharacterNgram": "ctc.ngrams",
    "Choice": "ctc.candidates",
    "beam_candidates": "ctc.beam",
    "beam_decode": "ctc.beam",
    "Pattern": "ctc.pattern",
    "pattern_decode": "ctc.pattern",
    "make_decoder": "ctc.decoding",
    "Lexicon": "ctc.lexicon",
    "lexicon_decode": "ctc.lexicon",
    "confidences": "ctc.confidence",
    "accept_reject": "errors.calibration",
    "aurc": "errors.calibration",
    "brier": "errors.calibration",
    "calibration_error_interval": "errors.calibration",
    "expected_calibration_error": "errors.calibration",
    "fit_temperature": "errors.calibration",
    "reliability": "errors.calibration",
    "threshold_for": "errors.calibration",
    "plot_accept_reject": "errors.plots",
    "plot_reliability": "errors.plots",
    "Recipe": "training.recipe",
    "fit": "training.loop",
    "lr_find": "training.rates",
    "largest_batch": "training.memory",
    "overfit_one_batch": "training.rates",
    "World": "training.processes",
    "Recognizer": "reader.recognizer",
    "GlyphClassifier": "tasks.glyphs.classifier",
    "load_model": "tasks.load",
    "fit_glyphs": "tasks.glyphs.training",
    "lr_find_glyphs": "tasks.glyphs.training",
    "load_pages": "data.layouts.pages",
    "parse_jalali": "tasks.letters.dates",
    "LetterReader": "tasks.letters.reader",
    "FieldDetector": "tasks.letters.detector",
    "evaluate_fields": "tasks.letters.scores",
    "ClassicalReader": "tasks.letters.classical",
    "match_template": "tasks.letters.templates",
    "score_letters": "tasks.letters.scores",
    "fit_detector": "tasks.letters.detector_training",
    "Hook": "reader.hooks",
    "Hooks": "reader.hooks",
    "observed": "reader.hooks",
    "activation_map": "maps.cam",
    "character_maps": "maps.cam",
    "class_target": "maps.targets",
    "grad_cam": "maps.cam",
    "grad_cam_plus_plus": "maps.cam",
    "hires_cam": "maps.cam",
    "occlusion_map": "maps.cam",
    "character_target": "maps.targets",
    "text_target": "maps.targets",
    "top_patches": "maps.patches",
    "deletion_insertion": "maps.checks",
    "randomized_check": "maps.checks",
    "ctc_frames": "maps.pictures",
    "maps_figure": "maps.pictures",
    "maps_html": "maps.pictures",
    "overlay": "maps.pictures",
    "patches_figure": "maps.pictures",
    "MapExplorer": "maps.explorer",
    "map_button": "maps.explorer",
    "CenterLoss": "training.centers",
    "AlignedLoss": "training.centers",
    "align_features": "training.centers",
    "alignment_report": "training.centers",
    "Tracker": "training.center_tracking",
    "center_distances": "training.center_tracking",
    "plot_distances": "training.center_tracking",
    "ErrorBrowser": "errors.browser.browser",
    "apply_changes": "errors.browser.marks",
    "memory_bytes": "training.costs",
    "operations": "training.costs",
    "training_flops": "training.costs",
    "DEVICES": "training.devices",
    "measure_device": "training.devices",
    "predict": "training.predictions",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_HOME])
