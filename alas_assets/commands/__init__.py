"""The groups of `alas` subcommands, a module each; what they share is `common`, the plain commands are in `alas_assets.cli`."""
