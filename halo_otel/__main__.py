"""`python -m halo_otel` is the command `halo-otel`."""

from halo_otel.cli import main

main()
