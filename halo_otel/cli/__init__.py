"""The command line: parse, call, print. One file per family of commands, no logic of its own.

Promises: an error is one clear message on standard error and never a traceback; results go to standard
output, progress and notes to standard error; what comes out of traces cannot steer the terminal. Exit
codes: 0 done, 1 failed or (with `--fail-on`) found something, 2 wrong usage or configuration, 130
interrupted. Everything heavy is imported inside the command that needs it.
"""

import sys

from halo_otel.errors import ConfigError, HaloError


def main() -> None:
    """Run the command in `sys.argv` and exit."""
    try:
        from halo_otel.cli.app import app

        app(prog_name="halo-otel")
    except HaloError as error:
        from halo_otel.cli.terminal import complain

        complain(str(error))
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
