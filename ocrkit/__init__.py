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
    "Tokenizer": "text",
    "align": "edits",
    "edit_distance": "edits",
    "to_logical": "reading_order",
    "to_visual": "reading_order",
    "fold": "persian",
    "tolerances": "persian",
    "accuracy": "metrics",
    "by_position": "metrics",
    "cer": "metrics",
    "score": "metrics",
    "score_by": "metrics",
    "by_class": "class_scores",
    "score_classes": "class_scores",
    "assign_splits": "samples",
    "load_samples": "samples",
    "export_imagefolder": "hub",
    "from_datasets": "hub",
    "to_datasets": "hub",
    "lint": "linting",
    "unpack": "archives",
    "confidently_wrong": "errors",
    "confusion_matrix": "errors",
    "confusions": "errors",
    "label_losses": "errors",
    "likely_mislabelled": "errors",
    "most_confused": "errors",
    "slices": "errors",
    "top_losses": "errors",
    "image_facts": "facts",
    "near_duplicates": "facts",
    "report": "error_page",
    "read_image": "images",
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
    "pack": "batches",
    "open_shards": "shards",
    "shard_batches": "shards",
    "packed_shards": "shard_files",
    "write_shards": "shard_files",
    "CRNN": "models",
    "receptive_field": "models",
    "summary": "models",
    "forced_alignment": "ctc",
    "greedy_decode": "ctc",
    "CharacterNgram": "ngrams",
    "beam_candidates": "beams",
    "Lexicon": "lexicon",
    "lexicon_decode": "lexicon",
    "Recipe": "recipes",
    "fit": "training",
    "lr_find": "training",
    "largest_batch": "memory",
    "overfit_one_batch": "training",
    "World": "distributed",
    "Recognizer": "recognizer",
    "GlyphClassifier": "glyph_classifier",
    "load_model": "glyph_classifier",
    "fit_glyphs": "glyph_training",
    "lr_find_glyphs": "glyph_training",
    "load_pages": "coco",
    "parse_jalali": "dates",
    "LetterReader": "documents",
    "FieldDetector": "field_detector",
    "evaluate_fields": "field_scores",
    "ClassicalReader": "classical_reader",
    "match_template": "template_match",
    "score_letters": "field_scores",
    "fit_detector": "detector_training",
    "Hook": "hooks",
    "Hooks": "hooks",
    "observed": "hooks",
    "activation_map": "explain",
    "character_maps": "explain",
    "class_target": "targets",
    "grad_cam": "explain",
    "grad_cam_plus_plus": "explain",
    "hires_cam": "explain",
    "occlusion_map": "explain",
    "character_target": "targets",
    "text_target": "targets",
    "top_patches": "patches",
    "deletion_insertion": "map_checks",
    "randomized_check": "map_checks",
    "ctc_frames": "heatmaps",
    "maps_figure": "heatmaps",
    "maps_html": "heatmaps",
    "overlay": "heatmaps",
    "patches_figure": "heatmaps",
    "MapExplorer": "map_explorer",
    "map_button": "map_explorer",
    "CenterLoss": "centers",
    "AlignedLoss": "centers",
    "align_features": "centers",
    "alignment_report": "centers",
    "Tracker": "center_tracking",
    "center_distances": "center_tracking",
    "plot_distances": "center_tracking",
    "compare_runs": "comparisons",
    "plot_comparison": "comparisons",
    "seed_gains": "comparisons",
    "ErrorBrowser": "browser",
    "apply_changes": "marks",
    "memory_bytes": "costs",
    "operations": "costs",
    "training_flops": "costs",
    "DEVICES": "devices",
    "measure_device": "devices",
    "predict": "predictions",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_HOME])
