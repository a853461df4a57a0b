"""Finding domain files and the recipes they name: what ships, and the user's own, which wins.

Validation is `domains.config` and `domains.sources`; nothing here fetches anything.
"""

from __future__ import annotations

from pathlib import Path

from alas_assets.domains.config import Domain, DomainError, read_domain
from alas_assets.provenance.ids import CELL_NAME
from alas_assets.settings import QuestionFolder, Settings
from alas_assets.training.spec import RECIPES_FILE, Recipe, RecipeError, load_recipe

SITE_PLACEHOLDER = "http://sample-site.invalid"
"""What a domain file writes for the sample site; the configured loopback port takes its place when it is read."""

QUESTION_FILES: dict[str, QuestionFolder] = {"neighbour_file": "guards", "replay_file": "replay", "exam_file": "exams"}
"""The keys that name files which must be there, and their folders; a guard file may still be made, by `alas guards`."""


def domain_files(settings: Settings) -> dict[str, Path]:
    """Return the file of each domain key; the user's folder outranks the tracked one."""
    found: dict[str, Path] = {}
    for folder in settings.domain_folders:
        for path in sorted(folder.glob("*.toml")):
            found[path.stem] = path
    return dict(sorted(found.items()))


def load_domain(settings: Settings, key: str) -> Domain:
    """Read one domain by key.

    Raises:
        DomainError: There is no such file, or it is wrong; the message names the places looked at or the key at fault.
    """
    path = domain_files(settings).get(key)
    if path is not None and not CELL_NAME.match(key):
        raise DomainError(f"{path}: {key[:80]!r} cannot be a domain key: use a-z, 0-9 and '-', at most 64, starting with a letter or digit")
    if path is None:
        known = ", ".join(domain_files(settings)) or "none"
        places = " or ".join(str(folder) for folder in settings.domain_folders)
        raise DomainError(f"no domain {key[:80]!r} (known: {known}); add {key[:80]}.toml to {places}, or run `alas new`")
    domain = read_domain(path)
    try:
        recipe_of(domain, settings)
    except RecipeError as error:
        raise DomainError(f"{path}: student.recipe: {error}") from error
    for key_of, folder in QUESTION_FILES.items():
        name = getattr(domain, key_of)
        if name and not settings.question_file(folder, name).is_file():
            raise DomainError(f"{path}: {key_of}: {name} is neither in {settings.home / folder} nor in {settings.data / folder}")
    return _on_site(domain, settings)


def missing_guards(settings: Settings, domain: Domain) -> str:
    """Say that a domain's guard file is not there, without which no iteration can be judged (G2); "" where it is."""
    name = domain.guard_file
    if settings.question_file("guards", name).is_file():
        return ""
    places = f"is neither in {settings.home / 'guards'} nor in {settings.data / 'guards'}"
    return f"{domain_files(settings)[domain.key]}: guard_file: {name} {places}; `alas guards` makes one, or name another"


def recipe_of(domain: Domain, settings: Settings) -> Recipe:
    """Return the recipe that a domain names: one of the user's own, else one that ships (T6).

    Raises:
        RecipeError: There is none of the name, or it is wrong.
    """
    return load_recipe(domain.student.recipe, settings.own_recipes, RECIPES_FILE)


def _on_site(domain: Domain, settings: Settings) -> Domain:
    """Put the sample site's real address into a domain that studies it, and let the guard pass exactly that address."""

    def placed(urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(url.replace(SITE_PLACEHOLDER, settings.site_url) for url in urls)

    given = domain.sources
    found = {"seed_urls": placed(given.seed_urls), "watch_urls": placed(given.watch_urls)}
    if found == {"seed_urls": given.seed_urls, "watch_urls": given.watch_urls}:
        return domain
    private = (*given.private_hosts, f"127.0.0.1:{settings.site_port}")
    return domain.model_copy(update={"sources": given.model_copy(update={**found, "private_hosts": private})})
