"""Parsing a stranger's XML with libxml2: nothing external is loaded, entities do not multiply, depth and text are bounded (S9).

What the elements mean is `finding.feeds` and `finding.sitemaps`.
"""

from __future__ import annotations

from typing import Any


class XmlError(ValueError):
    """The bytes are not XML that may be read; the message says why, without a URL."""


def parse_xml(body: bytes, *, mend: bool = False) -> Any:
    """Return the root element.

    Args:
        body: The document; its own declaration says the encoding.
        mend: Let libxml2 repair what is not well-formed.

    Raises:
        XmlError: It is no XML, not even mended, or its document type declares entities.
    """
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue] (a C module; not at module level: the definitions need none of it)

    parser = etree.XMLParser(
        recover=mend,
        resolve_entities="internal",
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_pis=True,
        remove_comments=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.LxmlError, ValueError) as error:
        raise XmlError(" ".join(str(error).split())) from error
    if root is None:
        raise XmlError("it has no element")
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):
        raise XmlError("its document type declares entities")
    return root


def as_bytes(root: Any) -> bytes:
    """Return an element as UTF-8 without document type."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

    return etree.tostring(root, encoding="utf-8", with_tail=False)
