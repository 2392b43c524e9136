"""`python -m certify.cli` is the `certify` command."""

from certify.cli.app import main

main()
