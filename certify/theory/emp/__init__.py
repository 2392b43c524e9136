"""Effective-number pruning. Read effective_number, then mass_bounds, retained_loss, data_path_scores, score_laws."""
