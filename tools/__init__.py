"""Programs around the course: benchmarks, atlases, and what refreshes notebooks, badges and samples."""
