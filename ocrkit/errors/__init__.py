"""errors: from results to numbers and pictures. Metrics, confusions, calibration, gallery, report, clinic."""
