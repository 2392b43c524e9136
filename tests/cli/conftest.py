from job_fixtures import cache, finished, own_torch, run

__all__ = ["cache", "finished", "own_torch", "run"]
