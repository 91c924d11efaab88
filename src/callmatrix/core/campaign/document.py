"""What every configuration document is."""

import msgspec


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A configuration document: refuses fields that it does not know."""
