"""The `alas` command: the same Dagster instance and assets as the UI, from a terminal (O1, U2).

Commands live in `alas_assets.commands`, a module for each group; exit codes are 0 done, 1 the work failed, 2 wrong usage. Dagster and the
model are imported only by the commands that need them.
"""

import sys

import typer

from alas_assets.commands import audit, ledger, loop, release, results, review, takedown, upkeep
from alas_assets.commands.common import err, plain

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Keep a small language model current: the same instance and assets as the Dagster UI.",
)
AUDIT, UPKEEP = "Audit: where did the model get that?", "Set up and keep going"
PANELS = {
    "Run the loop": (loop.app,),
    "See what came of it": (results.app,),
    AUDIT: (audit.app, takedown.app),
    "Release the model": (release.app,),
    UPKEEP: (upkeep.app,),
}
"""How `alas --help` groups the commands, in this order."""
for panel, groups in PANELS.items():
    for group in groups:
        for command in group.registered_commands:
            command.rich_help_panel = panel
        app.add_typer(group)
app.add_typer(review.app, name="review", rich_help_panel=AUDIT)
app.add_typer(ledger.app, name="ledger", rich_help_panel=UPKEEP)

CTRL_C = 130
"""What typer ends with when a command did not see to Ctrl-C itself."""


def main() -> None:
    """Run the command line; Ctrl-C, and an error whose message says what to do, end with exit code 1 and that message."""
    try:
        app()
    except SystemExit as ended:
        if ended.code != CTRL_C:
            raise
        err.print("interrupted; what is finished is kept")
        sys.exit(1)
    except Exception as error:
        from alas_assets.defs.steps import TOLD

        if not isinstance(error, TOLD):
            raise
        err.print(f"[bold red]error[/] {plain(str(error))}")
        sys.exit(1)


if __name__ == "__main__":
    main()
