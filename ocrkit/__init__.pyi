"""Written by `python -m tools.stub` from `__init__.py`."""

from ocrkit.training.centers import AlignedLoss as AlignedLoss
from ocrkit.reader.crnn import CRNN as CRNN
from ocrkit.training.centers import CenterLoss as CenterLoss
from ocrkit.ctc.lexicon import CharacterNgram as CharacterNgram
from ocrkit.ctc.candidates import Choice as Choice
from ocrkit.tasks.letters.classical import ClassicalReader as ClassicalReader
from ocrkit.errors.browser.browser import ErrorBrowser as ErrorBrowser
from ocrkit.tasks.letters.detector import FieldDetector as FieldDetector
from ocrkit.tasks.glyphs.classifier import GlyphClassifier as GlyphClassifier
from ocrkit.reader.hooks import Hook as Hook
from ocrkit.reader.hooks import Hooks as Hooks
from ocrkit.tasks.letters.reader import LetterReader as LetterReader
from ocrkit.ctc.lexicon import Lexicon as Lexicon
from ocrkit.maps.explorer import MapExplorer as MapExplorer
from ocrkit.ctc.pattern import Pattern as Pattern
from ocrkit.training.recipe import Recipe as Recipe
from ocrkit.reader.recognizer import Recognizer as Recognizer
from ocrkit.text.tokenizer import Tokenizer as Tokenizer
from ocrkit.training.center_tracking import Tracker as Tracker
from ocrkit.training.processes import accelerator as accelerator
from ocrkit.errors.calibration import accept_reject as accept_reject
from ocrkit.errors.metrics import accuracy as accuracy
from ocrkit.maps.cam import activation_map as activation_map
from ocrkit.text.edits import align as align
from ocrkit.training.centers import align_features as align_features
from ocrkit.training.centers import alignment_report as alignment_report
from ocrkit.errors.browser.marks import apply_changes as apply_changes
from ocrkit.data.samples import assign_splits as assign_splits
from ocrkit.errors.calibration import aurc as aurc
from ocrkit.ctc.beam import beam_candidates as beam_candidates
from ocrkit.ctc.beam import beam_decode as beam_decode
from ocrkit.errors.classes import by_class as by_class
from ocrkit.errors.metrics import by_position as by_position
from ocrkit.errors.calibration import calibration_error_interval as calibration_error_interval
from ocrkit.training.center_tracking import center_distances as center_distances
from ocrkit.errors.metrics import cer as cer
from ocrkit.maps.cam import character_maps as character_maps
from ocrkit.data.exercises import check as check
from ocrkit.maps.targets import class_target as class_target
from ocrkit.ctc.confidence import confidences as confidences
from ocrkit.errors.suspects import confidently_wrong as confidently_wrong
from ocrkit.errors.confusions import confusion_matrix as confusion_matrix
from ocrkit.errors.confusions import confusions as confusions
from ocrkit.reader.shapes import count_flops as count_flops
from ocrkit.maps.pictures import ctc_frames as ctc_frames
from ocrkit.maps.checks import deletion_insertion as deletion_insertion
from ocrkit.text.edits import edit_distance as edit_distance
from ocrkit.tasks.letters.scores import evaluate_fields as evaluate_fields
from ocrkit.errors.clinic import examine as examine
from ocrkit.errors.calibration import expected_calibration_error as expected_calibration_error
from ocrkit.data.layouts.hub import export_imagefolder as export_imagefolder
from ocrkit.training.loop import fit as fit
from ocrkit.tasks.letters.detector_training import fit_detector as fit_detector
from ocrkit.tasks.glyphs.training import fit_glyphs as fit_glyphs
from ocrkit.errors.calibration import fit_temperature as fit_temperature
from ocrkit.text.persian import fold as fold
from ocrkit.ctc.alignment import forced_alignment as forced_alignment
from ocrkit.data.layouts.hub import from_datasets as from_datasets
from ocrkit.maps.cam import grad_cam as grad_cam
from ocrkit.maps.cam import grad_cam_plus_plus as grad_cam_plus_plus
from ocrkit.ctc.greedy import greedy_decode as greedy_decode
from ocrkit.maps.cam import hires_cam as hires_cam
from ocrkit.errors.measures import image_facts as image_facts
from ocrkit.errors.suspects import label_losses as label_losses
from ocrkit.training.memory import largest_batch as largest_batch
from ocrkit.ctc.lexicon import lexicon_decode as lexicon_decode
from ocrkit.errors.suspects import likely_mislabelled as likely_mislabelled
from ocrkit.data.lint import lint as lint
from ocrkit.tasks.load import load_model as load_model
from ocrkit.data.layouts.pages import load_pages as load_pages
from ocrkit.data.samples import load_samples as load_samples
from ocrkit.training.rates import lr_find as lr_find
from ocrkit.tasks.glyphs.training import lr_find_glyphs as lr_find_glyphs
from ocrkit.ctc.decoding import make_decoder as make_decoder
from ocrkit.maps.explorer import map_button as map_button
from ocrkit.maps.pictures import maps_html as maps_html
from ocrkit.tasks.letters.templates import match_template as match_template
from ocrkit.training.speed import measure_steps as measure_steps
from ocrkit.errors.confusions import most_confused as most_confused
from ocrkit.data.duplicates import near_duplicates as near_duplicates
from ocrkit.reader.hooks import observed as observed
from ocrkit.maps.cam import occlusion_map as occlusion_map
from ocrkit.training.shards import open_shards as open_shards
from ocrkit.training.rates import overfit_one_batch as overfit_one_batch
from ocrkit.maps.pictures import overlay as overlay
from ocrkit.data.packed import pack as pack
from ocrkit.training.shards import packed_shards as packed_shards
from ocrkit.tasks.letters.dates import parse_jalali as parse_jalali
from ocrkit.ctc.pattern import pattern_decode as pattern_decode
from ocrkit.maps.checks import randomized_check as randomized_check
from ocrkit.data.images import read_image as read_image
from ocrkit.maps.receptive_fields import receptive_field as receptive_field
from ocrkit.errors.calibration import reliability as reliability
from ocrkit.synth import render_characters as render_characters
from ocrkit.synth import render_dates as render_dates
from ocrkit.synth import render_glyph as render_glyph
from ocrkit.synth import render_glyphs as render_glyphs
from ocrkit.synth import render_letter as render_letter
from ocrkit.synth import render_letters as render_letters
from ocrkit.synth import render_line as render_line
from ocrkit.synth import render_lines as render_lines
from ocrkit.synth import render_name as render_name
from ocrkit.synth import render_names as render_names
from ocrkit.synth import render_plate as render_plate
from ocrkit.synth import render_plates as render_plates
from ocrkit.synth import render_words as render_words
from ocrkit.errors.report import report as report
from ocrkit.errors.metrics import score as score
from ocrkit.errors.metrics import score_by as score_by
from ocrkit.errors.classes import score_classes as score_classes
from ocrkit.tasks.letters.scores import score_letters as score_letters
from ocrkit.training.shards import shard_batches as shard_batches
from ocrkit.errors.suspects import slices as slices
from ocrkit.reader.shapes import summary as summary
from ocrkit.maps.targets import text_target as text_target
from ocrkit.errors.calibration import threshold_for as threshold_for
from ocrkit.data.layouts.hub import to_datasets as to_datasets
from ocrkit.text.reading_order import to_logical as to_logical
from ocrkit.text.reading_order import to_visual as to_visual
from ocrkit.errors.tolerances import tolerances as tolerances
from ocrkit.errors.suspects import top_losses as top_losses
from ocrkit.maps.cam import top_patches as top_patches
from ocrkit.data.layouts.archives import unpack as unpack
from ocrkit.training.shards import write_shards as write_shards

__version__: str
__all__ = [
    "CRNN",
    "CenterLoss",
    "ErrorBrowser",
    "FieldDetector",
    "GlyphClassifier",
    "Hooks",
    "LetterReader",
    "Lexicon",
    "MapExplorer",
    "Pattern",
    "Recipe",
    "Recognizer",
    "Tokenizer",
    "accuracy",
    "align",
    "assign_splits",
    "beam_decode",
    "cer",
    "character_maps",
    "check",
    "confidences",
    "confusion_matrix",
    "confusions",
    "deletion_insertion",
    "edit_distance",
    "examine",
    "expected_calibration_error",
    "export_imagefolder",
    "fit",
    "fit_glyphs",
    "fit_temperature",
    "fold",
    "forced_alignment",
    "from_datasets",
    "grad_cam",
    "greedy_decode",
    "hires_cam",
    "label_losses",
    "lexicon_decode",
    "likely_mislabelled",
    "lint",
    "load_model",
    "load_pages",
    "load_samples",
    "lr_find",
    "make_decoder",
    "most_confused",
    "overfit_one_batch",
    "pack",
    "parse_jalali",
    "pattern_decode",
    "read_image",
    "receptive_field",
    "reliability",
    "render_glyph",
    "render_glyphs",
    "render_letters",
    "render_lines",
    "render_name",
    "render_names",
    "render_plate",
    "render_plates",
    "report",
    "score",
    "score_by",
    "slices",
    "summary",
    "threshold_for",
    "to_datasets",
    "unpack",
]
