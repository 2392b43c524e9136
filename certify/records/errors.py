"""The three ways certify says no. Each carries one sentence for the user and the exit code of the command line."""


class CertifyError(Exception):
    """One clear sentence: what was found, what was expected, what to do."""

    exit_code = 3


class Unmet(CertifyError):
    """A requirement does not hold, or cannot be decided (fails closed)."""

    exit_code = 1


class Usage(CertifyError):
    """The call itself is wrong: an option, a recipe key, a value out of its range."""

    exit_code = 2


class Refused(CertifyError):
    """Refused input or broken integrity: NaN, wrong shape, truncated or tampered file, overlapping splits."""

    exit_code = 3
